"""Recommending by nearest item vectors: the index is asked for what lies close to the history."""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int

from llmrec_jax.corpora.splits import RankingCases, Sequences
from llmrec_jax.evaluation.protocol import SEEN_ITEMS
from llmrec_jax.evaluation.recommendations import ABSENT, Recommendations, concatenate, from_ranked_lists
from llmrec_jax.evaluation.recommender import case_batches
from llmrec_jax.retrieval.history_queries import last_item_queries, mean_queries
from llmrec_jax.retrieval.retriever import Retriever

QUERIES = {'last_item': last_item_queries, 'history_mean': mean_queries}
_CASES_AT_ONCE = 2048


@dataclasses.dataclass(frozen=True)
class ContentRetrieval:
    """A recommender over an index of item vectors.

    Attributes:
      retriever: the index, over every item of the catalogue.
      vectors: the vectors that are in the index, from which queries are made.
      query: 'last_item' asks with the vector of the last item, 'history_mean' with the mean of the history's.
      depth: how many items are ranked; a target further down has rank 0.

    Raises:
      ValueError: when `query` is unknown or the index holds other items than `vectors`.
    """

    retriever: Retriever
    vectors: Float[np.ndarray, 'items dim']
    query: str = 'last_item'
    depth: int = 100

    def __post_init__(self):
        if self.query not in QUERIES:
            raise ValueError(f'ContentRetrieval.query is {self.query!r}; it must be one of {tuple(QUERIES)}')
        if len(self.retriever) != len(self.vectors):
            raise ValueError(
                f'the index holds {len(self.retriever)} items, but there are {len(self.vectors)} item vectors'
            )

    def recommend(self, cases: RankingCases, k: int, *, seen_items: str) -> Recommendations:
        """See `Recommender.recommend`.

        Raises:
          ValueError: when there are no cases, a history is empty, or `seen_items` has no such position.
        """
        if seen_items not in SEEN_ITEMS:
            raise ValueError(f'seen_items is {seen_items!r}; it must be one of {SEEN_ITEMS}')
        if not len(cases):
            raise ValueError('no cases to recommend for')
        depth = min(max(k, self.depth), len(self.vectors))
        return concatenate(
            [
                self._recommend_batch(batch, depth, seen_items == 'removed').top(k)
                for batch in case_batches(cases, _CASES_AT_ONCE)
            ]
        )

    def _recommend_batch(self, cases: RankingCases, depth: int, remove_seen: bool) -> Recommendations:
        queries = QUERIES[self.query](self.vectors, cases.histories)
        longest = int(cases.histories.lengths.max()) if remove_seen else 0
        # Powers of two, because an index compiled for one number of neighbours is compiled again for another.
        wanted = 1 << (depth + longest - 1).bit_length()
        found = self.retriever.search(queries, min(wanted, len(self.vectors)))
        gone = found.items == ABSENT
        if remove_seen:
            gone |= _in_history(found.items, cases.histories, len(self.vectors))
        order = np.argsort(gone, axis=1, kind='stable')[:, :depth]
        gone = np.take_along_axis(gone, order, axis=1)
        items = np.where(gone, ABSENT, np.take_along_axis(found.items, order, axis=1))
        scores = np.where(gone, -np.inf, np.take_along_axis(found.scores, order, axis=1))
        return from_ranked_lists(items, scores, cases.target)


def _in_history(
    items: Int[np.ndarray, 'cases fetched'], histories: Sequences, n_items: int
) -> Bool[np.ndarray, 'cases fetched']:
    row_of_event = np.repeat(np.arange(len(histories)), histories.lengths)
    seen = row_of_event * n_items + histories.values
    asked = np.arange(len(items))[:, None] * n_items + items
    return np.isin(asked, seen)
