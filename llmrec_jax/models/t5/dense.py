"""Bias-free projections with two-dimensional kernels."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Float

from llmrec_jax.models.t5.projection import project

KERNEL_INIT = nn.initializers.variance_scaling(1.0, 'fan_in', 'truncated_normal')


class Dense(nn.Module):
    """`inputs @ kernel`; heads are joined in one kernel axis, as in T5X's checkpoints.

    Attributes:
      features: width of the output.
      kernel_axes: logical names of the kernel's two axes.
      dtype: of the multiplication; the kernel itself and its gradient are float32.
      kernel_init: initializer of the kernel.
    """

    features: int
    kernel_axes: tuple[str, str]
    dtype: Any = jnp.float32
    kernel_init: Callable[..., Any] = KERNEL_INIT

    @nn.compact
    def __call__(self, inputs: Float[Array, '*batch inputs']) -> Float[Array, '*batch features']:
        """The product, in `dtype`."""
        kernel = partitioning.param_with_axes(
            'kernel',
            self.kernel_init,
            (inputs.shape[-1], self.features),
            jnp.float32,
            axes=self.kernel_axes,
        )
        return project(inputs.astype(self.dtype), kernel)
