"""T5's relative position bias: one learned scalar a head and bucket of distance."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Float, Int

BUCKETS = 32
MAX_DISTANCE = 128


def relative_position_buckets(
    query_length: int, key_length: int, bidirectional: bool
) -> Int[np.ndarray, 'query key']:
    """The bucket of each pair of positions (T5 paper, section 2.1).

    Half of the buckets hold one distance each; the others grow logarithmically up to `MAX_DISTANCE`, beyond
    which all distances share the last one. A bidirectional bias keeps half of the buckets for keys after the
    query; a causal one puts all of those in bucket 0.
    """
    distance = np.arange(query_length)[:, None] - np.arange(key_length)[None, :]
    buckets = BUCKETS // 2 if bidirectional else BUCKETS
    first = np.where(distance < 0, buckets, 0) if bidirectional else 0
    distance = np.abs(distance) if bidirectional else np.maximum(distance, 0)
    exact = buckets // 2
    # The float32 epsilon keeps a distance that lies exactly on a boundary in the upper bucket, as in T5X.
    ratio = distance.astype(np.float32) / exact + np.finfo(np.float32).eps
    growth = np.log(ratio) / np.log(MAX_DISTANCE / exact) * (buckets - exact)
    coarse = np.minimum(exact + growth.astype(np.int32), buckets - 1)
    return first + np.where(distance < exact, distance, coarse)


class RelativePositionBias(nn.Module):
    """Additive attention scores that depend on head and distance only.

    Attributes:
      num_heads: heads, each with its own weights.
      bidirectional: whether keys after the query get buckets of their own (encoder) or not (decoder).
    """

    num_heads: int
    bidirectional: bool

    def setup(self):
        """Declares the weights of the buckets."""
        self.rel_embedding = partitioning.param_with_axes(
            'rel_embedding',
            nn.initializers.variance_scaling(1.0, 'fan_avg', 'uniform'),
            (self.num_heads, BUCKETS),
            jnp.float32,
            axes=('heads', 'relpos_buckets'),
        )

    def __call__(self, query_length: int, key_length: int) -> Float[Array, 'heads query key']:
        """The bias of every pair of positions of one row, in float32."""
        buckets = relative_position_buckets(query_length, key_length, self.bidirectional)
        # A constant one-hot: the gradient is then a multiplication, where a gather has a scatter.
        one_hot = jnp.asarray(buckets[None] == np.arange(BUCKETS)[:, None, None], jnp.float32)
        # Exact on accelerators too, whose default is to round a multiplication's operands to bfloat16.
        return jnp.einsum('hb,bqk->hqk', self.rel_embedding, one_hot, precision='highest')

    def at(self, position: int | Int[Array, ''], key_length: int) -> Float[Array, 'heads key']:
        """The bias of the query at `position` (which may be traced), for decoding one position at a time."""
        whole = self(key_length, key_length)
        return jax.lax.dynamic_index_in_dim(whole, position, axis=1, keepdims=False)
