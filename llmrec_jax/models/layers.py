"""Layers that encoder-decoders and decoders share: a projection and RMS norm."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Float

from llmrec_jax.models.lora import Lora, adapted
from llmrec_jax.models.projection import project

KERNEL_INIT = nn.initializers.variance_scaling(1.0, 'fan_in', 'truncated_normal')


class Dense(nn.Module):
    """`inputs @ kernel`, and a bias where there is one: every product of attention and feed-forward block.

    Heads are joined in one kernel axis, as in T5X's checkpoints.

    Attributes:
      features: width of the output.
      kernel_axes: logical names of the kernel's two axes.
      dtype: of the multiplication; the kernel's gradient has the kernel's own.
      use_bias: whether there is a bias.
      kernel_init: initializer of the kernel.
      lora: which projections of the network have adapters; None for none.
    """

    features: int
    kernel_axes: tuple[str, str]
    dtype: Any = jnp.float32
    use_bias: bool = False
    kernel_init: Callable[..., Any] = KERNEL_INIT
    lora: Lora | None = None

    @nn.compact
    def __call__(self, inputs: Float[Array, '*batch inputs']) -> Float[Array, '*batch features']:
        """The product, in `dtype`."""
        kernel = partitioning.param_with_axes(
            'kernel', self.kernel_init, (inputs.shape[-1], self.features), jnp.float32, axes=self.kernel_axes
        )
        inputs = inputs.astype(self.dtype)
        outputs = adapted(self, self.lora, inputs, project(inputs, kernel), self.kernel_axes)
        if self.use_bias:
            bias = partitioning.param_with_axes(
                'bias', nn.initializers.zeros, (self.features,), jnp.float32, axes=self.kernel_axes[1:]
            )
            outputs = outputs + jnp.broadcast_to(bias, outputs.shape).astype(self.dtype)
        return outputs


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
        # Scaled in float32 too: the scale's gradient is a sum over every token of the batch.
        return (normalized * jnp.broadcast_to(scale, x.shape)).astype(self.dtype)
