"""What a retriever is asked, what it offers, and what it answers.

A `Retriever` finds candidates for requests; a `VectorIndex` finds the best items of query vectors. Both
answer with a `SearchResult`, in which nothing is passed off as an item.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int

from llmrec_jax.corpora.splits import Sequences

ABSENT = -1


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """The best items of each query, best first.

    Attributes:
      items: item indices; -1 (`ABSENT`) where fewer than `k` were found. Absent slots come last.
      scores: descending; -inf in absent slots. Comparable within a query only.
    """

    items: Int[np.ndarray, 'queries k']
    scores: Float[np.ndarray, 'queries k']

    def __len__(self) -> int:
        return len(self.items)

    def top(self, k: int) -> 'SearchResult':
        """The same with at most `k` items a query."""
        return SearchResult(self.items[:, :k], self.scores[:, :k])

    def without(self, histories: Sequences) -> 'SearchResult':
        """The same less the items of each query's history, what is left drawn together; as wide as before."""
        gone = (self.items == ABSENT) | _in_history(self.items, histories)
        order = np.argsort(gone, axis=1, kind='stable')
        gone = np.take_along_axis(gone, order, axis=1)
        return SearchResult(
            np.where(gone, ABSENT, np.take_along_axis(self.items, order, axis=1)),
            np.where(gone, -np.inf, np.take_along_axis(self.scores, order, axis=1)),
        )


def check_k(k: int, n_items: int) -> None:
    """Checks that as many items can be asked for.

    Raises:
      ValueError: `k` is below 1 or above the number of items.
    """
    if not 1 <= k <= n_items:
        raise ValueError(f'k={k} items asked of an index of {n_items} items: k must lie in 1..{n_items}')


def _in_history(items: Int[np.ndarray, 'queries k'], histories: Sequences) -> Bool[np.ndarray, 'queries k']:
    beyond = 1 + max(int(items.max(initial=0)), int(histories.values.max(initial=0)))
    row_of_event = np.repeat(np.arange(len(histories)), histories.lengths)
    asked = np.arange(len(items))[:, None] * beyond + items
    # An absent slot reads as the last item of the row before, which changes nothing: it is absent already.
    return np.isin(asked, row_of_event * beyond + histories.values)


@dataclasses.dataclass(frozen=True)
class Requests:
    """Requests for candidates, one a row; a retriever reads what it knows to use and refuses to do without.

    Attributes:
      histories: items that each had before, oldest first; None where nothing is known of them.
      texts: what each says it looks for; None where nothing is said.
      users: who each is, for retrievers that keep something of their users; None where nobody is known.

    Raises:
      ValueError: there are neither histories nor texts, or not as many of one as of the other.
    """

    histories: Sequences | None = None
    texts: Sequence[str] | None = None
    users: Int[np.ndarray, 'requests'] | None = None

    def __post_init__(self):
        if self.histories is None and self.texts is None:
            raise ValueError('requests need histories or texts to retrieve by')
        lengths = {name: len(value) for name, value in self._given().items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f'requests must have as many of each, not {lengths}')

    def __len__(self) -> int:
        return len(next(iter(self._given().values())))

    def the_histories(self, asked_by: str) -> Sequences:
        """The histories.

        Raises:
          ValueError: naming `asked_by`, when there are none.
        """
        if self.histories is None:
            raise ValueError(f'{asked_by} goes by histories, and these requests have texts alone')
        return self.histories

    def the_texts(self, asked_by: str) -> Sequence[str]:
        """The texts.

        Raises:
          ValueError: naming `asked_by`, when there are none.
        """
        if self.texts is None:
            raise ValueError(
                f'{asked_by} goes by texts, and these requests have histories alone: wrap it in '
                'HistoryAsText, which asks by the texts of the items had'
            )
        return self.texts

    def batches(self, size: int) -> Iterator['Requests']:
        """Consecutive parts of at most `size` requests."""
        for start in range(0, len(self), size):
            rows = slice(start, start + size)
            yield Requests(
                None if self.histories is None else self.histories.rows(start, start + size),
                None if self.texts is None else self.texts[rows],
                None if self.users is None else self.users[rows],
            )

    def _given(self) -> dict[str, Sequences | Sequence[str] | Int[np.ndarray, 'requests']]:
        every = {'histories': self.histories, 'texts': self.texts, 'users': self.users}
        return {name: value for name, value in every.items() if value is not None}


@runtime_checkable
class Retriever(Protocol):
    """A system that finds candidates by histories or texts: a first stage, whose candidates another may rank.

    `VectorRetriever` makes one of an index and a query encoder, `BM25` goes by words, and
    `evaluation.retrieval_recommender.RecommenderRetriever` makes one of any recommender; the other way round,
    `evaluation.retrieval_recommender.RetrievalRecommender` evaluates any of them.
    """

    @property
    def n_items(self) -> int:
        """Number of items that it may find."""
        ...

    def retrieve(self, requests: Requests, k: int, *, remove_seen: bool = False) -> SearchResult:
        """The `k` best candidates of each request.

        Args:
          requests: histories, texts or both; what is not read does not matter.
          k: candidates wanted of each.
          remove_seen: whether the items of a request's own history are left out.

        Raises:
          ValueError: `k` is below 1 or above the number of items, or the requests lack what this retriever
            goes by; with `remove_seen`, also where they have no histories.
        """
        ...


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
