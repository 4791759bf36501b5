"""Items by their text: frozen vectors behind an adaptor that every domain shares (UniSRec, ZESRec)."""

import math
from typing import Protocol, runtime_checkable

import jax.numpy as jnp
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Float, Int

from llmrec_jax.models.sequential.item_encoder import PADDING, CatalogueFacts
from llmrec_jax.models.transfer.frozen_tables import DROPPED_TEXT, TEXT, declare_table, rows_of, table_rows


@runtime_checkable
class Adaptor(Protocol):
    """A linen module from text vectors to the space of items.

    Attributes:
      dim: width of the output.
    """

    dim: int

    def __call__(
        self, vectors: Float[Array, '*batch text_dim'], *, enable_dropout: bool
    ) -> Float[Array, '*batch dim']:
        """The adapted vectors; draws from the stream 'dropout' where that is enabled."""
        ...


class TextItemEncoder(nn.Module):
    """`adaptor(text) + offset`, an item encoder as `models.sequential.item_encoder` asks for.

    Dropout and noise of the adaptor are on where the random stream 'dropout' is given; an item may be given
    the same draw wherever it occurs in a batch.

    With an offset, the vector of item `j` is free around what the text says, with the prior
    `N(f_e(x_j), I / precision)`: ZESRec's latent item vector (section 3.3). At an infinite precision the
    text alone speaks, near 0 the offset is as free as an id's vector, and at 0 it is an id's vector:
    UniSRec's transductive setting. Offsets start at 0, so that training begins from what the text says.
    They are learned as `e_j = offset * sqrt(max(precision, 1))`, which keeps gradients of like size over
    the whole range.

    Attributes:
      adaptor: from text vectors to vectors of items.
      offset_precision: of the prior of an item's own offset; None for no offset: UniSRec's inductive
        setting, and ZESRec on a domain that it was not trained on.
      word_drop: whether there is a second text vector of every item, of its text with some words dropped.
      n_items: size of the catalogue; 0 until `for_catalogue` says it.
      text_dim: width of the text vectors; likewise.
    """

    adaptor: Adaptor
    offset_precision: float | None = None
    word_drop: bool = False
    n_items: int = 0
    text_dim: int = 0

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return self.adaptor.dim

    def for_catalogue(self, facts: CatalogueFacts) -> 'TextItemEncoder':
        """The encoder of this catalogue.

        Raises:
          ValueError: when the catalogue has no text vectors, or the precision is negative.
        """
        if facts.vectors is None:
            raise ValueError('TextItemEncoder needs vectors of the items: give the recipe a text encoder')
        if self.offset_precision is not None and not self.offset_precision >= 0:
            raise ValueError(f'TextItemEncoder.offset_precision={self.offset_precision} must be 0 or more')
        return self.clone(n_items=facts.n_items, text_dim=facts.vectors.shape[1])

    def setup(self):
        """Declares text vectors and offsets."""
        self.text = declare_table(TEXT, self.n_items, self.text_dim)
        if self.word_drop:
            self.dropped_text = declare_table(DROPPED_TEXT, self.n_items, self.text_dim)
        if self.offset_precision is not None:
            self.offset = partitioning.param_with_axes(
                'offset',
                nn.initializers.zeros,
                (table_rows(self.n_items), self.dim),
                jnp.float32,
                axes=('vocab', 'embed'),
            )

    def __call__(self, tokens: Int[Array, '*shape']) -> Float[Array, '*shape dim']:
        """The vectors of tokens; zero for padding."""
        return self._vectors(self.text, tokens)

    def without_some_words(self, tokens: Int[Array, '*shape']) -> Float[Array, '*shape dim']:
        """The vectors of tokens by the text that lacks words."""
        return self._vectors(self.dropped_text, tokens)

    def table(self) -> Float[Array, 'rows dim']:
        """The vectors of all items; rows past the catalogue are no items."""
        adapted = self._adapted(self.text)
        return adapted if self.offset_precision is None else adapted + self._scale * self.offset

    def penalty(self) -> Float[Array, '']:
        """`precision / 2 * sum_j |v_j - f_e(x_j)|^2`, the prior in ZESRec's loss; 0 without offsets."""
        if self.offset_precision is None:
            return jnp.zeros(())
        return min(self.offset_precision, 1.0) / 2 * jnp.sum(jnp.square(self.offset))

    @property
    def _scale(self) -> float:
        return 1 / math.sqrt(max(self.offset_precision, 1.0))

    def _vectors(
        self, text: Float[Array, 'rows text_dim'], tokens: Int[Array, '*shape']
    ) -> Float[Array, '*shape dim']:
        # Where there are more tokens than items, each item is adapted once.
        once = tokens.size > len(text)
        vectors = rows_of(self._adapted(text), tokens) if once else self._adapted(rows_of(text, tokens))
        if self.offset_precision is not None:
            vectors += self._scale * rows_of(self.offset, tokens)
        return jnp.where((tokens != PADDING)[..., None], vectors, 0.0)

    def _adapted(self, text: Float[Array, '*batch text_dim']) -> Float[Array, '*batch dim']:
        return self.adaptor(text, enable_dropout=self.has_rng('dropout'))
