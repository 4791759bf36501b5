"""crc32 in TensorFlow's own operations, so that a pipeline that hashes ids stays serialisable."""

import tensorflow as tf

POLYNOMIAL = 0xEDB88320


def _table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ POLYNOMIAL if byte & 1 else byte >> 1
        table.append(byte)
    return table


def crc32(text: tf.Tensor) -> tf.Tensor:
    """The checksum of a scalar string's bytes, as int64; equals `zlib.crc32`."""
    table = tf.constant(_table(), tf.int64)
    octets = tf.cast(tf.io.decode_raw(text, tf.uint8), tf.int64)

    def step(checksum, octet):
        index = tf.bitwise.bitwise_and(tf.bitwise.bitwise_xor(checksum, octet), 0xFF)
        return tf.bitwise.bitwise_xor(tf.bitwise.right_shift(checksum, 8), tf.gather(table, index))

    ones = tf.constant(0xFFFFFFFF, tf.int64)
    return tf.bitwise.bitwise_xor(tf.foldl(step, octets, initializer=ones), ones)
