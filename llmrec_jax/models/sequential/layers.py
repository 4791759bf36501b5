"""Layers that sequence encoders are made of; their parameters lie whole on every device.

Beside an item table they weigh next to nothing, so that only their 'embed' axes have a rule that may share
them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Bool, Float, Int

from llmrec_jax.models.dropout import Dropout

KERNEL_INIT = nn.initializers.xavier_uniform()
# What an excluded key's logit is before the softmax. Finite, so that a row that excludes all keys is no
# NaN.
EXCLUDED = -1e30


class Affine(nn.Module):
    """`inputs @ kernel + bias`.

    Attributes:
      features: width of the output.
      use_bias: whether there is a bias.
      kernel_init: initializer of the kernel.
    """

    features: int
    use_bias: bool = True
    kernel_init: Callable[..., Any] = KERNEL_INIT

    @nn.compact
    def __call__(self, inputs: Float[Array, '*batch inputs']) -> Float[Array, '*batch features']:
        """The product, and the bias."""
        kernel = partitioning.param_with_axes(
            'kernel',
            self.kernel_init,
            (inputs.shape[-1], self.features),
            jnp.float32,
            axes=('embed', 'kv'),
        )
        # A product of matrices: of more axes, XLA's gradient on a processor copies what it multiplies.
        outputs = jnp.dot(inputs.reshape(-1, inputs.shape[-1]), kernel)
        if self.use_bias:
            bias = partitioning.param_with_axes(
                'bias', nn.initializers.zeros, (self.features,), jnp.float32, axes=('kv',)
            )
            outputs += jnp.broadcast_to(bias, outputs.shape)
        return outputs.reshape(*inputs.shape[:-1], self.features)


class LayerNorm(nn.Module):
    """Layer normalization of the last axis, with scale and bias.

    Attributes:
      epsilon: added to the variance.
    """

    epsilon: float = 1e-8

    @nn.compact
    def __call__(self, inputs: Float[Array, '*batch features']) -> Float[Array, '*batch features']:
        """The normalized vectors."""
        width = (inputs.shape[-1],)
        scale = partitioning.param_with_axes(
            'scale', nn.initializers.ones, width, jnp.float32, axes=('embed',)
        )
        bias = partitioning.param_with_axes(
            'bias', nn.initializers.zeros, width, jnp.float32, axes=('embed',)
        )
        centred = inputs - jnp.mean(inputs, axis=-1, keepdims=True)
        variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
        normalized = centred * jax.lax.rsqrt(variance + self.epsilon)
        return normalized * jnp.broadcast_to(scale, inputs.shape) + jnp.broadcast_to(bias, inputs.shape)


class PackedRows(NamedTuple):
    """Which sequence each position of a row is of, where a row holds several, one after the other.

    Attributes:
      segments: the same number at the positions of one sequence; another at its neighbours.
      from_end: how many positions of its sequence come after each.
    """

    segments: Int[Array, 'batch length']
    from_end: Int[Array, 'batch length']


class Positions(nn.Module):
    """A learned vector for every position, counted from the right: the newest item has the last row.

    Attributes:
      max_length: positions there are.
      init_stddev: of the normal distribution that the vectors are drawn from.
    """

    max_length: int
    init_stddev: float = 0.02

    @nn.compact
    def __call__(
        self, embedded: Float[Array, 'batch length dim'], rows: PackedRows | None = None
    ) -> Float[Array, 'batch length dim']:
        """The vectors, each with that of its position added.

        Args:
          embedded: the vectors.
          rows: where rows hold several sequences; None where each is one, padded on the left.

        Raises:
          ValueError: when the sequences are longer than there are positions.
        """
        length, dim = embedded.shape[1:]
        if length > self.max_length:
            raise ValueError(
                f'sequences of {length} items do not fit max_length={self.max_length}: raise it, or cut them'
            )
        positions = partitioning.param_with_axes(
            'embedding',
            nn.initializers.normal(stddev=self.init_stddev),
            (self.max_length, dim),
            jnp.float32,
            axes=('abspos_buckets', 'embed'),
        )
        if rows is not None:
            return embedded + positions[self.max_length - 1 - rows.from_end]
        return embedded + positions[None, self.max_length - length :]


class SelfAttention(nn.Module):
    """Scaled dot-product attention with several heads.

    Attributes:
      num_heads: heads; they share the width equally.
      dropout_rate: of the attention weights.
      project_output: whether the joined heads go through a last affine map; the original SASRec has none.

    Raises:
      ValueError: when the heads do not divide the width.
    """

    num_heads: int
    dropout_rate: float = 0.0
    project_output: bool = True

    @nn.compact
    def __call__(
        self,
        queries: Float[Array, 'batch length dim'],
        keys: Float[Array, 'batch length dim'],
        allowed: Bool[Array, 'batch length length'],
        *,
        enable_dropout: bool,
    ) -> Float[Array, 'batch length dim']:
        """What each query reads.

        Args:
          queries: vectors that ask.
          keys: vectors that are read.
          allowed: whether the query at the second axis may read the key at the third; one that may read
            none gets no meaningful vector.
          enable_dropout: whether to draw dropout.
        """
        dim = queries.shape[-1]
        if dim % self.num_heads:
            raise ValueError(f'num_heads={self.num_heads} do not divide a width of {dim}')

        def heads(name: str, inputs: Array) -> Array:
            joined = Affine(dim, name=name)(inputs)
            return joined.reshape(*joined.shape[:2], self.num_heads, -1)

        query, key, value = heads('query', queries), heads('key', keys), heads('value', keys)
        logits = jnp.einsum('bqhd,bkhd->bhqk', query, key) / jnp.sqrt(dim // self.num_heads)
        weights = jax.nn.softmax(jnp.where(allowed[:, None], logits, EXCLUDED), axis=-1)
        weights = Dropout(self.dropout_rate)(weights, deterministic=not enable_dropout)
        read = jnp.einsum('bhqk,bkhd->bqhd', weights, value).reshape(queries.shape)
        return Affine(dim, name='out')(read) if self.project_output else read


class PointwiseFeedForward(nn.Module):
    """Two affine maps of every position, dropout after each.

    Attributes:
      mlp_dim: width between the two.
      activation: after the first, a name in `ACTIVATIONS`.
      dropout_rate: after each.
    """

    mlp_dim: int
    activation: str = 'relu'
    dropout_rate: float = 0.0

    @nn.compact
    def __call__(
        self, inputs: Float[Array, 'batch length dim'], *, enable_dropout: bool
    ) -> Float[Array, 'batch length dim']:
        """The vectors, without the residual."""
        hidden = ACTIVATIONS[self.activation](Affine(self.mlp_dim, name='wi')(inputs))
        hidden = Dropout(self.dropout_rate)(hidden, deterministic=not enable_dropout)
        outputs = Affine(inputs.shape[-1], name='wo')(hidden)
        return Dropout(self.dropout_rate)(outputs, deterministic=not enable_dropout)


ACTIVATIONS = {'relu': jax.nn.relu, 'gelu': jax.nn.gelu}


def causal(
    mask: Bool[Array, 'batch length'], rows: PackedRows | None = None
) -> Bool[Array, 'batch length length']:
    """Which position may read which: itself and those before it in its sequence, where there are items."""
    length = mask.shape[1]
    allowed = jnp.tril(jnp.ones((length, length), bool))[None] & mask[:, None, :]
    return allowed if rows is None else allowed & (rows.segments[:, :, None] == rows.segments[:, None, :])
