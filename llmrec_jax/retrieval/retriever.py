"""What an index over item vectors offers: the k best items of a query, and nothing passed off as an item."""

import dataclasses
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

ABSENT = -1


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """The best items of each query, best first.

    Attributes:
      items: item indices; -1 (`ABSENT`) where the index found fewer than `k`. Absent slots come last.
      scores: dot products of query and item, descending; -inf in absent slots.
    """

    items: Int[np.ndarray, 'queries k']
    scores: Float[np.ndarray, 'queries k']


@runtime_checkable
class Retriever(Protocol):
    """An index over item vectors, searched by largest dot product."""

    def __len__(self) -> int:
        """Number of items in the index."""
        ...

    def search(self, queries: Float[np.ndarray, 'queries dim'], k: int) -> SearchResult:
        """The `k` items of largest dot product with each query.

        Raises:
          ValueError: `k` is below 1 or above the number of items, the queries have another width than the
            items, or a query is not finite.
        """
        ...
