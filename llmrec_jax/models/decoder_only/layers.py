"""A decoder's layers: projection, embedding, RMS norm and gated feed-forward block."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Float, Int

from llmrec_jax.models.decoder_only.config import DecoderConfig
from llmrec_jax.models.t5.projection import project

KERNEL_INIT = nn.initializers.variance_scaling(1.0, 'fan_in', 'truncated_normal')
# What LLaMA, Qwen and Gemma are initialised with.
EMBEDDING_INIT = nn.initializers.normal(stddev=0.02)


class Projection(nn.Module):
    """`inputs @ kernel`, and a bias where there is one: every product of attention and feed-forward block.

    Heads are joined in one kernel axis, as in T5X's checkpoints.

    Attributes:
      features: width of the output.
      kernel_axes: logical names of the kernel's two axes.
      dtype: of the multiplication; the kernel's gradient has the kernel's own.
      use_bias: whether there is a bias.
      kernel_init: initializer of the kernel.
    """

    features: int
    kernel_axes: tuple[str, str]
    dtype: Any = jnp.float32
    use_bias: bool = False
    kernel_init: Callable[..., Any] = KERNEL_INIT

    @nn.compact
    def __call__(self, inputs: Float[Array, '*batch inputs']) -> Float[Array, '*batch features']:
        """The product, in `dtype`."""
        kernel = partitioning.param_with_axes(
            'kernel', self.kernel_init, (inputs.shape[-1], self.features), jnp.float32, axes=self.kernel_axes
        )
        outputs = project(inputs.astype(self.dtype), kernel)
        if self.use_bias:
            bias = partitioning.param_with_axes(
                'bias', nn.initializers.zeros, (self.features,), jnp.float32, axes=self.kernel_axes[1:]
            )
            outputs = outputs + jnp.broadcast_to(bias, outputs.shape).astype(self.dtype)
        return outputs


class TokenEmbedder(nn.Module):
    """The table of token vectors, which may be the output head too."""

    config: DecoderConfig

    def setup(self):
        """Declares the table."""
        config = self.config
        self.embedding = partitioning.param_with_axes(
            'embedding',
            EMBEDDING_INIT,
            (config.vocab_size, config.emb_dim),
            jnp.float32,
            axes=('vocab', 'embed'),
        )

    def __call__(self, tokens: Int[Array, '*batch']) -> Float[Array, '*batch embed']:
        """The vectors of `tokens`, in the network's type."""
        config = self.config
        if config.one_hot_embedding:
            one_hot = jax.nn.one_hot(tokens, config.vocab_size, dtype=config.dtype)
            vectors = project(one_hot, self.embedding)
        else:
            # Rounded only after the gather, so that a token's gradients are added up in float32.
            vectors = self.embedding.at[tokens].get(mode='clip').astype(config.dtype)
        if config.scaled_embeddings:
            vectors = vectors * jnp.asarray(config.emb_dim**0.5, config.dtype)
        return vectors

    def attend(self, vectors: Float[Array, '*batch embed']) -> Float[Array, '*batch vocab']:
        """Float32 inner products with every row."""
        return project(vectors.astype(jnp.float32), self.embedding.T)


class RMSNorm(nn.Module):
    """Scales the last axis to unit root mean square, then by a parameter; float32 inside.

    Attributes:
      epsilon: added to the mean square.
      plus_one: whether the scale is 1 + the parameter, which then begins at 0.
      dtype: of the output.
      axis: logical name of the parameter's axis.
    """

    epsilon: float
    plus_one: bool = False
    dtype: Any = jnp.float32
    axis: str = 'embed'

    @nn.compact
    def __call__(self, inputs: Float[Array, '*batch features']) -> Float[Array, '*batch features']:
        """The normalized vectors, in `dtype`."""
        initial = nn.initializers.zeros if self.plus_one else nn.initializers.ones
        scale = partitioning.param_with_axes(
            'scale', initial, (inputs.shape[-1],), jnp.float32, axes=(self.axis,)
        )
        if self.plus_one:
            scale = 1.0 + scale
        x = inputs.astype(jnp.float32)
        normalized = x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + self.epsilon)
        return (normalized * jnp.broadcast_to(scale, x.shape)).astype(self.dtype)


def block_norm(config: DecoderConfig) -> RMSNorm:
    """A norm over the residual stream."""
    return RMSNorm(config.norm_epsilon, config.norm_plus_one, config.dtype)


ACTIVATIONS = {'silu': jax.nn.silu, 'gelu_tanh': functools.partial(jax.nn.gelu, approximate=True)}


class GatedFeedForward(nn.Module):
    """`wo(activation(wi_0 x) * wi_1 x)`: SwiGLU or GeGLU (Shazeer, https://arxiv.org/abs/2002.05202)."""

    config: DecoderConfig

    @nn.compact
    def __call__(self, inputs: Float[Array, '*batch embed']) -> Float[Array, '*batch embed']:
        """The block's output."""
        config = self.config
        gate, up = (
            Projection(config.mlp_dim, ('embed', 'mlp'), config.dtype, name=name)(inputs)
            for name in ('wi_0', 'wi_1')
        )
        hidden = ACTIVATIONS[config.activation](gate) * up
        return Projection(config.emb_dim, ('mlp', 'embed'), config.dtype, name='wo')(hidden)
