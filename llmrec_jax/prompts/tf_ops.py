"""`array_ops.ArrayOps` in TensorFlow's own operations, which tf.data runs in its threads."""

import tensorflow as tf

from llmrec_jax.prompts.array_ops import ArrayOps


class TensorFlowOps(ArrayOps):
    """The tf.data side; see `array_ops.ArrayOps`."""

    def integers(self, values):
        """See `ArrayOps`."""
        return tf.cast(values, tf.int64)

    def bits(self, values):
        """See `ArrayOps`."""
        # A Python integer may be larger than any signed one.
        return (
            tf.constant([values], tf.uint64)
            if isinstance(values, int)
            else tf.reshape(tf.cast(values, tf.uint64), [-1])
        )

    def xor(self, left, right):
        """See `ArrayOps`."""
        return tf.bitwise.bitwise_xor(left, right)

    def shift_right(self, values, places):
        """See `ArrayOps`."""
        return tf.bitwise.right_shift(values, tf.constant(places, tf.uint64))

    def arange(self, length):
        """See `ArrayOps`."""
        return tf.range(tf.cast(length, tf.int64), dtype=tf.int64)

    def size(self, values):
        """See `ArrayOps`."""
        return tf.size(values, out_type=tf.int64)

    def minimum(self, left, right):
        """See `ArrayOps`."""
        return tf.minimum(left, right)

    def maximum(self, left, right):
        """See `ArrayOps`."""
        return tf.maximum(left, right)

    def choose(self, condition, yes, no):
        """See `ArrayOps`."""
        return tf.where(condition, yes, no)

    def concat(self, parts):
        """See `ArrayOps`."""
        return tf.concat(parts, axis=0)

    def take(self, values, rows):
        """See `ArrayOps`."""
        return tf.gather(values, rows)

    def keep(self, values, wanted):
        """See `ArrayOps`."""
        return tf.boolean_mask(values, wanted)

    def position(self, ascending, values):
        """See `ArrayOps`."""
        return tf.searchsorted(ascending, values, out_type=tf.int64)

    def texts(self, values):
        """See `ArrayOps`."""
        return tf.constant([text.encode() for text in values], tf.string, shape=[len(values)])

    def require(self, condition, message):
        """See `ArrayOps`."""
        tf.debugging.Assert(condition, [message])


TENSORFLOW = TensorFlowOps()
