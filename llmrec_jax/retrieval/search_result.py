"""What a search answers: the best items of each query, and nothing passed off as an item."""

import dataclasses

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
