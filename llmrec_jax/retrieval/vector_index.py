"""What an index over item vectors offers: the k best items of a query's vector."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from llmrec_jax.retrieval.search_result import SearchResult


@runtime_checkable
class VectorIndex(Protocol):
    """An index over item vectors, searched by largest dot product.

    It knows vectors alone; what answers histories or texts is a `Retriever`, e.g. `VectorRetriever` over one.
    """

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
