"""The towers: of an item's id and text, and of a history.

The history tower weighs what was had last and what was had before, by how long ago.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Bool, Float, Int

from llmrec_jax.models.sequential.item_encoder import PADDING, ROWS_MULTIPLE, CatalogueFacts
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


class HistoryTower(nn.Module):
    """The newest item's vector beside a decayed mean of all, through affine maps with ReLU between them.

    It is a sequence encoder as `models.sequential.network` asks for: the state of a position is that
    of the history up to it, so that all prefixes of a sequence are queries at the cost of one pass.

    Attributes:
      hidden: widths between the affine maps; none for a single map.
      decay: weight of an item in the mean relative to the one after it; 1 for the plain mean.
      dropout_rate: of the widths between the maps.
    """

    hidden: Sequence[int] = (128,)
    decay: float = 0.8
    dropout_rate: float = 0.0

    @nn.compact
    def __call__(
        self,
        embedded: Float[Array, 'batch length dim'],
        mask: Bool[Array, 'batch length'],
        *,
        enable_dropout: bool,
    ) -> Float[Array, 'batch length dim']:
        """See `SequenceEncoder`; states of padding are zero.

        Raises:
          ValueError: when `decay` is not in (0, 1].
        """
        if not 0 < self.decay <= 1:
            raise ValueError(f'HistoryTower.decay={self.decay} must lie in (0, 1]')
        length, dim = embedded.shape[1:]
        lag = jnp.arange(length)[:, None] - jnp.arange(length)[None, :]
        weights = jnp.where(lag >= 0, self.decay ** jnp.maximum(lag, 0), 0.0)
        weights = weights[None] * mask[:, None, :]
        total = jnp.maximum(jnp.sum(weights, axis=-1, keepdims=True), 1e-9)
        mean = jnp.einsum('bts,bsd->btd', weights / total, embedded)
        states = jnp.concatenate([embedded, mean], axis=-1)
        for width in self.hidden:
            states = jax.nn.relu(Affine(width)(states))
            states = nn.Dropout(self.dropout_rate)(states, deterministic=not enable_dropout)
        return jnp.where(mask[..., None], Affine(dim)(states), 0.0)
