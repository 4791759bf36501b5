"""Retrieval by vectors: an encoder turns each request into one, and an index finds the items next to it.

The encoders here need no training: the vectors of a history's own items, or of a text.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Float32

from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.retrieval.retriever import Requests, SearchResult, VectorIndex, check_k


def last_item_queries(
    vectors: Float[np.ndarray, 'items dim'], histories: Sequences
) -> Float32[np.ndarray, 'rows dim']:
    """The vector of the last item of each history.

    Raises:
      ValueError: a history is empty or names an item without a vector.
    """
    _check(vectors, histories)
    return vectors[histories.values[histories.offsets[1:] - 1]].astype(np.float32)


def mean_queries(
    vectors: Float[np.ndarray, 'items dim'], histories: Sequences
) -> Float32[np.ndarray, 'rows dim']:
    """The mean of the vectors of each history, brought to length 1; zero where the vectors cancel out.

    Raises:
      ValueError: a history is empty or names an item without a vector.
    """
    _check(vectors, histories)
    means = np.empty((len(histories), vectors.shape[1]), np.float32)
    for row in range(len(histories)):
        means[row] = vectors[histories[row]].mean(axis=0, dtype=np.float64)
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    return means / np.where(norms > 0, norms, 1)


def _check(vectors: Float[np.ndarray, 'items dim'], histories: Sequences) -> None:
    empty = np.flatnonzero(histories.lengths == 0)
    if len(empty):
        raise ValueError(
            f'{len(empty)} histories are empty, the first in row {empty[0]}: they say nothing to query'
        )
    inside = (histories.values >= 0) & (histories.values < len(vectors))
    if not inside.all():
        event = int(np.argmin(inside))
        row = int(np.searchsorted(histories.offsets, event, side='right')) - 1
        raise ValueError(
            f'history {row} names item {histories.values[event]}, but there are {len(vectors)} item vectors'
        )


POOLINGS = {'last_item': last_item_queries, 'history_mean': mean_queries}


@dataclasses.dataclass(frozen=True, eq=False)
class HistoryVectors:
    """Encodes a request by the vectors of the items had.

    Attributes:
      vectors: of the items, as they are in the index.
      pooling: 'last_item' takes the vector of the last one, 'history_mean' the mean of all.

    Raises:
      ValueError: when `pooling` has no such name.
    """

    vectors: Float[np.ndarray, 'items dim']
    pooling: str = 'last_item'

    def __post_init__(self):
        if self.pooling not in POOLINGS:
            raise ValueError(
                f'HistoryVectors.pooling is {self.pooling!r}; it must be one of {tuple(POOLINGS)}'
            )

    def __call__(self, requests: Requests) -> Float[np.ndarray, 'requests dim']:
        """Raises ValueError where a history is missing, empty, or names an item without a vector."""
        return POOLINGS[self.pooling](self.vectors, requests.the_histories('HistoryVectors'))


@dataclasses.dataclass(frozen=True, eq=False)
class TextVectors:
    """Encodes a request by what it says.

    Attributes:
      encode: texts to vectors in the space of the index, e.g. the method of the `TextEncoder` that made the
        item vectors, where that encoder was not fitted on them.
    """

    encode: Callable[[Sequence[str]], Float[np.ndarray, 'texts dim']]

    def __call__(self, requests: Requests) -> Float[np.ndarray, 'requests dim']:
        """Raises ValueError where there are no texts, or the encoder can say nothing about one."""
        return self.encode(requests.the_texts('TextVectors'))


REQUESTS_AT_ONCE = 2048


@dataclasses.dataclass(frozen=True, eq=False)
class VectorRetriever:
    """A `Retriever` over an index of item vectors.

    Attributes:
      index: what is searched.
      encode: requests to query vectors of the index's width, e.g. `HistoryVectors`, or the
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
