"""A sequence encoder that takes vectors of any scale, as those of adapted text are."""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from llmrec_jax.models.sequential.layers import LayerNorm
from llmrec_jax.models.sequential.network import SequenceEncoder


class NormalizedInput(nn.Module):
    """Layer-normalizes the items' vectors before a sequence encoder reads them.

    It is for encoders without positions, as ZESRec's GRU; a transformer normalizes the sum of vector and
    position (`SASRecConfig.input_norm`). The normalized vectors are divided by the root of the width, so that
    they are of length 1 whatever the width.

    Attributes:
      encoder: what reads the normalized vectors.
    """

    encoder: SequenceEncoder

    @nn.compact
    def __call__(
        self,
        embedded: Float[Array, 'batch length dim'],
        mask: Bool[Array, 'batch length'],
        *,
        enable_dropout: bool,
    ) -> Float[Array, 'batch length dim']:
        """The states, see `SequenceEncoder`."""
        normalized = LayerNorm(name='input_norm')(embedded) / jnp.sqrt(embedded.shape[-1])
        return self.encoder(jnp.where(mask[..., None], normalized, 0.0), mask, enable_dropout=enable_dropout)
