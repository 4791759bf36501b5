"""T5's layers: projections without bias, embedding, feed-forward block, RMS norm, relative position bias."""

import functools
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Float, Int

from llmrec_jax.models.lora import Lora, adapted
from llmrec_jax.models.projection import project
from llmrec_jax.models.t5.config import T5Config

KERNEL_INIT = nn.initializers.variance_scaling(1.0, 'fan_in', 'truncated_normal')


class Dense(nn.Module):
    """`inputs @ kernel`; heads are joined in one kernel axis, as in T5X's checkpoints.

    Attributes:
      features: width of the output.
      kernel_axes: logical names of the kernel's two axes.
      dtype: of the multiplication; the kernel itself and its gradient are float32.
      kernel_init: initializer of the kernel.
      lora: which projections of the network have adapters; None for none.
    """

    features: int
    kernel_axes: tuple[str, str]
    dtype: Any = jnp.float32
    kernel_init: Callable[..., Any] = KERNEL_INIT
    lora: Lora | None = None

    @nn.compact
    def __call__(self, inputs: Float[Array, '*batch inputs']) -> Float[Array, '*batch features']:
        """The product, in `dtype`, with the adapter's share."""
        kernel = partitioning.param_with_axes(
            'kernel',
            self.kernel_init,
            (inputs.shape[-1], self.features),
            jnp.float32,
            axes=self.kernel_axes,
        )
        inputs = inputs.astype(self.dtype)
        return adapted(self.lora, inputs, project(inputs, kernel), self.kernel_axes)


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


class RMSNorm(nn.Module):
    """Scales the last axis to unit root mean square, then by a learned `scale`; float32 inside."""

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, inputs: Float[Array, '*batch features']) -> Float[Array, '*batch features']:
        """The normalized vectors, in `dtype`."""
        scale = partitioning.param_with_axes(
            'scale', nn.initializers.ones, (inputs.shape[-1],), jnp.float32, axes=('embed',)
        )
        x = inputs.astype(jnp.float32)
        mean_square = jnp.mean(jnp.square(x), axis=-1, keepdims=True)
        normalized = x * jax.lax.rsqrt(mean_square + EPSILON)
        # Scaled in float32 too: the scale's gradient is a sum over every token of the batch.
        return (normalized * jnp.broadcast_to(scale, x.shape)).astype(self.dtype)


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
