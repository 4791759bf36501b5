"""The item tower: a vector of an item, of its id and of its text."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Float, Int

from llmrec_jax.models.sequential.catalogue import CatalogueFacts
from llmrec_jax.models.sequential.item_encoder import PADDING, ROWS_MULTIPLE
from llmrec_jax.models.sequential.layers import Affine


class ItemTower(nn.Module):
    """A learned vector of the id beside the vector of the text, through affine maps with ReLU between them.

    It is an item encoder as `models.sequential.item_encoder` asks for. The vectors of text are parameters
    too, so that a checkpoint holds them and their rows lie over the mesh's model axis, but no gradient
    reaches them; where the optimizer decays weights, 'text' belongs to its `undecayed`.

    Attributes:
      dim: width of an item's vector.
      id_dim: width of what is learned of an id; 0 for an item tower that knows items by their text alone,
        and so knows new ones.
      hidden: widths between the affine maps; none for a single map.
      use_text: whether an item's text is read.
      n_items: size of the catalogue; 0 until `for_catalogue` says it.
      text_vectors: of the items; None until `for_catalogue` knows them, and without text.
    """

    dim: int
    id_dim: int = 64
    hidden: Sequence[int] = (128,)
    use_text: bool = True
    n_items: int = 0
    text_vectors: Float[np.ndarray, 'items width'] | None = None

    def for_catalogue(self, facts: CatalogueFacts) -> 'ItemTower':
        """The tower of this catalogue.

        Raises:
          ValueError: when it reads text and the catalogue has no vectors, or it reads neither text nor ids.
        """
        if self.use_text and facts.vectors is None:
            raise ValueError('ItemTower.use_text needs vectors of the items, and the recipe makes none')
        if not self.use_text and not self.id_dim:
            raise ValueError('ItemTower reads nothing: set id_dim above 0, or use_text')
        return self.clone(n_items=facts.n_items, text_vectors=facts.vectors if self.use_text else None)

    def setup(self):
        """Declares ids, texts and maps."""
        if self.n_items < 1:
            raise ValueError('ItemTower.n_items is not known: call for_catalogue before the module is used')
        rows = -(-self.n_items // ROWS_MULTIPLE) * ROWS_MULTIPLE
        features = []
        if self.id_dim:
            ids = nn.initializers.normal(stddev=0.02)
            shape = (rows, self.id_dim)
            features.append(
                partitioning.param_with_axes('embedding', ids, shape, jnp.float32, axes=('vocab', 'embed'))
            )
        if self.text_vectors is not None:
            texts = np.pad(self.text_vectors, ((0, rows - self.n_items), (0, 0))).astype(np.float32)
            filled = partitioning.param_with_axes(
                'text', lambda _: jnp.asarray(texts), axes=('vocab', 'embed')
            )
            features.append(jax.lax.stop_gradient(filled))
        self.features = features
        self.maps = [Affine(width) for width in (*self.hidden, self.dim)]

    def __call__(self, tokens: Int[Array, '*shape']) -> Float[Array, '*shape dim']:
        """The vectors of tokens; zero for padding."""
        rows = jnp.maximum(tokens - 1, 0)
        known = jnp.concatenate([feature.at[rows].get(mode='clip') for feature in self.features], axis=-1)
        return jnp.where((tokens != PADDING)[..., None], self._mapped(known), 0.0)

    def table(self) -> Float[Array, 'rows dim']:
        """The vectors of all items; rows past the catalogue are no items."""
        return self._mapped(jnp.concatenate(self.features, axis=-1))

    def _mapped(self, known: Float[Array, '*shape width']) -> Float[Array, '*shape dim']:
        *inner, last = self.maps
        for affine in inner:
            known = jax.nn.relu(affine(known))
        return last(known)
