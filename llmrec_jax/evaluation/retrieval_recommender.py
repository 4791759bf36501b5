"""Any retriever as a recommender: its candidates, in its order, are its lists."""

import dataclasses

from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.evaluation.protocol import SEEN_ITEMS
from llmrec_jax.evaluation.recommendations import Recommendations, from_ranked_lists
from llmrec_jax.retrieval.retriever import Requests, Retriever


@dataclasses.dataclass(frozen=True)
class RetrievalRecommender:
    """A recommender over a retriever that goes by histories.

    Attributes:
      retriever: finds the candidates.
      depth: how many are ranked; a target further down has rank 0. With a depth of 50, recall@50 of the
        result caps whatever chooses from the retriever's 50 candidates.
    """

    retriever: Retriever
    depth: int = 100

    def recommend(self, cases: RankingCases, k: int, *, seen_items: str) -> Recommendations:
        """See `Recommender.recommend`.

        Raises:
          ValueError: when there are no cases, `seen_items` has no such position, or the retriever can do
            nothing with a history.
        """
        if seen_items not in SEEN_ITEMS:
            raise ValueError(f'seen_items is {seen_items!r}; it must be one of {SEEN_ITEMS}')
        if not len(cases):
            raise ValueError('no cases to recommend for')
        found = self.retriever.retrieve(
            Requests(cases.histories, users=cases.user),
            min(max(k, self.depth), self.retriever.n_items),
            remove_seen=seen_items == 'removed',
        )
        return from_ranked_lists(found.items, found.scores, cases.target).top(k)
