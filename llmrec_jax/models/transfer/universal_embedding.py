"""ZESRec's item universal embedding network: from text vectors to item vectors (section 3.3)."""

import jax
from flax import linen as nn
from jaxtyping import Array, Float

from llmrec_jax.models.sequential.layers import Affine


class UniversalEmbedding(nn.Module):
    """One affine map, or several with ReLU between them; the paper does not say how many.

    Attributes:
      dim: width of the output.
      hidden: widths between the maps; empty for one map.
    """

    dim: int
    hidden: tuple[int, ...] = ()

    @nn.compact
    def __call__(
        self, vectors: Float[Array, '*batch text_dim'], *, enable_dropout: bool
    ) -> Float[Array, '*batch dim']:
        """The vectors of items; nothing in it is dropped."""
        del enable_dropout
        for layer, width in enumerate(self.hidden):
            vectors = jax.nn.relu(Affine(width, name=f'layers_{layer}')(vectors))
        return Affine(self.dim, name='out')(vectors)
