"""What a sequential recommender asks of its item encoder, and the encoder that knows items by their ids.

`CatalogueFacts` is what is known of a catalogue before a network over it is made.
"""

import dataclasses
from typing import Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Float, Int


@dataclasses.dataclass(frozen=True, eq=False)
class CatalogueFacts:
    """What item encoders and losses are made for.

    Attributes:
      n_items: size of the catalogue.
      train_counts: how often each item occurs in the training histories; None where nobody counted.
      vectors: embeddings of the items' text or other content; None where there are none.

    Raises:
      ValueError: when there is no item, or an array has not one row for each.
    """

    n_items: int
    train_counts: Float[np.ndarray, 'items'] | None = None
    vectors: Float[np.ndarray, 'items width'] | None = None

    def __post_init__(self):
        if self.n_items < 1:
            raise ValueError(f'a catalogue of n_items={self.n_items} has nothing to recommend')
        for name in ('train_counts', 'vectors'):
            array = getattr(self, name)
            if array is not None and len(array) != self.n_items:
                raise ValueError(
                    f'CatalogueFacts.{name} has {len(array)} rows for {self.n_items} items: '
                    'it was made of another corpus'
                )


PADDING = 0
# The table's height is a multiple of this, so that its rows can be dealt to any usual number of devices.
ROWS_MULTIPLE = 128


@runtime_checkable
class ItemEncoder(Protocol):
    """A linen module from items to vectors.

    Attributes:
      dim: width of a vector.
      n_items: size of the catalogue; 0 until `for_catalogue` says it.
    """

    dim: int
    n_items: int

    def for_catalogue(self, facts: CatalogueFacts) -> 'ItemEncoder':
        """The encoder of this catalogue, with the same settings; called before it is initialised."""
        ...

    def __call__(self, tokens: Int[Array, '*shape']) -> Float[Array, '*shape dim']:
        """The vectors of tokens; zero for padding."""
        ...

    def table(self) -> Float[Array, 'rows dim']:
        """The vectors of all items: row `i` is item `i`; rows past the catalogue are no items."""
        ...


class ItemTable(nn.Module):
    """A learned vector for every item, by its id.

    Its rows carry the logical axis 'vocab', which lies over the mesh's model axis: a catalogue that does
    not fit one device is shared among several.

    Attributes:
      dim: width of a vector.
      n_items: size of the catalogue; 0 until `for_catalogue` says it.
      init_stddev: of the normal distribution that the vectors are drawn from.
    """

    dim: int
    n_items: int = 0
    init_stddev: float = 0.02

    def for_catalogue(self, facts: CatalogueFacts) -> 'ItemTable':
        """The table of this catalogue."""
        return self.clone(n_items=facts.n_items)

    def setup(self):
        """Declares the table."""
        if self.n_items < 1:
            raise ValueError('ItemTable.n_items is not known: call for_catalogue before the module is used')
        rows = -(-self.n_items // ROWS_MULTIPLE) * ROWS_MULTIPLE
        self.embedding = partitioning.param_with_axes(
            'embedding',
            nn.initializers.normal(stddev=self.init_stddev),
            (rows, self.dim),
            jnp.float32,
            axes=('vocab', 'embed'),
        )

    def __call__(self, tokens: Int[Array, '*shape']) -> Float[Array, '*shape dim']:
        """The vectors of tokens; zero for padding."""
        vectors = self.embedding.at[jnp.maximum(tokens - 1, 0)].get(mode='clip')
        return jnp.where((tokens != PADDING)[..., None], vectors, 0.0)

    def table(self) -> Float[Array, 'rows dim']:
        """The vectors of all items, and rows past the catalogue that are no items."""
        return self.embedding
