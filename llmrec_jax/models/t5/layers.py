"""T5's layers: embedding, feed-forward block, relative position bias."""

import functools
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Float, Int

from llmrec_jax.models.layers import Dense, RMSNorm
from llmrec_jax.models.projection import project
from llmrec_jax.models.t5.config import T5Config


class Embed(nn.Module):
    """A table of token vectors.

    Attributes:
      vocab_size: rows.
      features: width of a row.
      dtype: of the vectors handed out; the table itself is float32.
      one_hot: whether rows are fetched by a one-hot multiplication instead of a gather.
    """

    vocab_size: int
    features: int
    dtype: Any = jnp.float32
    one_hot: bool = False

    def setup(self):
        """Declares the table."""
        self.embedding = partitioning.param_with_axes(
            'embedding',
            nn.initializers.normal(stddev=1.0),
            (self.vocab_size, self.features),
            jnp.float32,
            axes=('vocab', 'embed'),
        )

    def __call__(self, tokens: Int[Array, 'batch length']) -> Float[Array, 'batch length features']:
        """The vectors of `tokens`."""
        if self.one_hot:
            vectors = project(jax.nn.one_hot(tokens, self.vocab_size, dtype=self.dtype), self.embedding)
        else:
            # Rounded only after the gather, so that a token's gradients are added up in float32.
            vectors = self.embedding.at[tokens].get(mode='clip').astype(self.dtype)
        return partitioning.with_sharding_constraint(vectors, ('batch', 'length', 'embed'))

    def attend(self, vectors: Float[Array, '*batch features']) -> Float[Array, '*batch vocab']:
        """Float32 inner products with every row, divided by sqrt(features): T5 1.0's tied head."""
        return jnp.dot(vectors.astype(jnp.float32), self.embedding.T) / jnp.sqrt(self.features)


ACTIVATIONS = {
    'relu': jax.nn.relu,
    'gelu': functools.partial(jax.nn.gelu, approximate=True),
    'silu': jax.nn.silu,
    'linear': lambda x: x,
}


class FeedForward(nn.Module):
    """One hidden layer; with several activations, the elementwise product of as many hidden layers."""

    config: T5Config

    @nn.compact
    def __call__(
        self, inputs: Float[Array, 'batch length embed'], enable_dropout: bool
    ) -> Float[Array, 'batch length embed']:
        """The block's output."""
        config = self.config
        gated = len(config.mlp_activations) > 1
        hidden = functools.reduce(
            operator.mul,
            [
                ACTIVATIONS[activation](
                    Dense(
                        config.mlp_dim,
                        ('embed', 'mlp'),
                        config.dtype,
                        lora=config.lora,
                        name=f'wi_{index}' if gated else 'wi',
                    )(inputs)
                )
                for index, activation in enumerate(config.mlp_activations)
            ],
        )
        hidden = nn.Dropout(config.dropout_rate, broadcast_dims=(-2,))(
            hidden, deterministic=not enable_dropout
        )
        hidden = partitioning.with_sharding_constraint(hidden, ('batch', 'length', 'mlp'))
        out = Dense(config.emb_dim, ('mlp', 'embed'), config.dtype, lora=config.lora, name='wo')
        return out(hidden)


EPSILON = 1e-6


def block_norm(config: T5Config) -> RMSNorm:
    """A norm over the residual stream."""
    return RMSNorm(EPSILON, dtype=config.dtype)


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
