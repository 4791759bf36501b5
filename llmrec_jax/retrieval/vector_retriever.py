"""Retrieval by vectors: an encoder turns each request into one, and an index finds the items next to it."""

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from llmrec_jax.retrieval.requests import Requests
from llmrec_jax.retrieval.search_result import SearchResult, check_k
from llmrec_jax.retrieval.vector_index import VectorIndex

REQUESTS_AT_ONCE = 2048


@dataclasses.dataclass(frozen=True, eq=False)
class VectorRetriever:
    """A `Retriever` over an index of item vectors.

    Attributes:
      index: what is searched.
      encode: requests to query vectors of the index's width, e.g. `query_encoders.HistoryVectors`, or the
        query tower of a two-tower model.
    """

    index: VectorIndex
    encode: Callable[[Requests], Float[np.ndarray, 'requests dim']]

    @property
    def n_items(self) -> int:
        """See `Retriever.n_items`."""
        return len(self.index)

    def retrieve(self, requests: Requests, k: int, *, remove_seen: bool = False) -> SearchResult:
        """See `Retriever.retrieve`.

        Raises:
          ValueError: further, what the encoder raises about requests that it cannot encode.
        """
        check_k(k, self.n_items)
        if remove_seen:
            requests.the_histories('removing what was seen')
        items = np.empty((len(requests), k), np.int64)
        scores = np.empty((len(requests), k), np.float32)
        start = 0
        for batch in requests.batches(REQUESTS_AT_ONCE):
            rows = slice(start, start + len(batch))
            found = self._search(batch, k, remove_seen)
            items[rows], scores[rows] = found.items, found.scores
            start = rows.stop
        return SearchResult(items, scores)

    def _search(self, requests: Requests, k: int, remove_seen: bool) -> SearchResult:
        queries = self.encode(requests)
        longest = int(requests.histories.lengths.max(initial=0)) if remove_seen else 0
        # Powers of two, because an index compiled for one number of neighbours is compiled again for another.
        wanted = 1 << (k + longest - 1).bit_length()
        found = self.index.search(queries, min(wanted, self.n_items))
        return (found.without(requests.histories) if remove_seen else found).top(k)
