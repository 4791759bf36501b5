"""The query tower over a text: what an encoder made of it, moved to where the items are."""

from collections.abc import Sequence

import jax
from flax import linen as nn
from jaxtyping import Array, Float

from llmrec_jax.models.sequential.layers import Affine


class TextTower(nn.Module):
    """Affine maps of a text's vector, with ReLU between them.

    Attributes:
      dim: width of the items' vectors.
      hidden: widths between the affine maps; none for a single map.
      dropout_rate: of the widths between the maps.
    """

    dim: int
    hidden: Sequence[int] = (128,)
    dropout_rate: float = 0.0

    @nn.compact
    def __call__(
        self, vectors: Float[Array, 'texts width'], *, enable_dropout: bool
    ) -> Float[Array, 'texts dim']:
        """The states of the texts."""
        for width in self.hidden:
            vectors = jax.nn.relu(Affine(width)(vectors))
            vectors = nn.Dropout(self.dropout_rate)(vectors, deterministic=not enable_dropout)
        return Affine(self.dim)(vectors)
