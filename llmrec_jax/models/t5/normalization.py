"""T5's layer normalization: root mean square, no mean subtracted, no bias."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Float

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
