"""Experts of parametric whitening, mixed by a gate that each text decides (UniSRec, section 2.1.3)."""

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Float

from llmrec_jax.models.transfer.whitening import KERNEL_INIT

# The released code adds it to the noise's scale, so that the noise never vanishes in training.
NOISE_FLOOR = 1e-2


class MixtureAdaptor(nn.Module):
    """Gate-weighted sum of parametric whitenings.

    `gate = softmax(x W_g + noise * (softplus(x W_n) + 0.01))`, with standard normal noise in training and
    none otherwise. Dropout takes the same components of a vector from every expert, where the released code
    draws them for each expert anew.

    Attributes:
      dim: width of the output.
      experts: number of whitenings.
      dropout: share of the input's components that are dropped before the experts in training.
      noise: whether the gate is noisy in training.
    """

    dim: int
    experts: int = 8
    dropout: float = 0.2
    noise: bool = True

    @nn.compact
    def __call__(
        self, vectors: Float[Array, '*batch text_dim'], *, enable_dropout: bool
    ) -> Float[Array, '*batch dim']:
        """The adapted vectors; with dropout it needs the random stream 'dropout'."""
        width = vectors.shape[-1]
        shift = partitioning.param_with_axes(
            'shift', nn.initializers.zeros, (self.experts, width), axes=('layers', 'kv')
        )
        kernel = partitioning.param_with_axes(
            'kernel', KERNEL_INIT, (self.experts, width, self.dim), axes=('layers', 'kv', 'embed')
        )
        dropped = nn.Dropout(self.dropout, deterministic=not enable_dropout)(vectors)
        whitened = jnp.einsum('...w,ewd->...ed', dropped, kernel)
        whitened -= jnp.broadcast_to(jnp.einsum('ew,ewd->ed', shift, kernel), whitened.shape)
        return jnp.einsum('...e,...ed->...d', self._gate(vectors, enable_dropout), whitened)

    def _gate(
        self, vectors: Float[Array, '*batch text_dim'], enable_dropout: bool
    ) -> Float[Array, '*batch experts']:
        shape, axes = (vectors.shape[-1], self.experts), ('kv', 'layers')
        logits = vectors @ partitioning.param_with_axes('gate', nn.initializers.zeros, shape, axes=axes)
        if self.noise:
            scale = partitioning.param_with_axes('gate_noise', nn.initializers.zeros, shape, axes=axes)
            if enable_dropout:
                spread = jax.nn.softplus(vectors @ scale) + NOISE_FLOOR
                logits = logits + spread * jax.random.normal(self.make_rng('dropout'), logits.shape)
        return jax.nn.softmax(logits, axis=-1)
