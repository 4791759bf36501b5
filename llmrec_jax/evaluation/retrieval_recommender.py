"""Any recommender as a retriever, and any retriever as a recommender.

Baselines, sequential models and generative ones propose candidates; a retriever's candidates, in its order,
are its lists.
"""

import dataclasses

import numpy as np

from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.evaluation.protocol import SEEN_ITEMS
from llmrec_jax.evaluation.recommendations import Recommendations, from_ranked_lists
from llmrec_jax.evaluation.recommender import Recommender
from llmrec_jax.retrieval.retriever import Requests, Retriever, SearchResult, check_k


@dataclasses.dataclass(frozen=True, eq=False)
class RecommenderRetriever:
    """A `Retriever` whose candidates are a recommender's list.

    Attributes:
      recommender: ranks the items.
      n_items: size of its catalogue.
    """

    recommender: Recommender
    n_items: int

    def retrieve(self, requests: Requests, k: int, *, remove_seen: bool = False) -> SearchResult:
        """See `Retriever.retrieve`.

        Raises:
          ValueError: further, when the recommender lists fewer than `k` items, or cannot answer.
        """
        check_k(k, self.n_items)
        histories = requests.the_histories('a recommender')
        if not len(requests):
            return SearchResult(np.empty((0, k), np.int64), np.empty((0, k), np.float32))
        users = np.full(len(requests), -1) if requests.users is None else requests.users
        # A recommender ranks a target besides; none is known here, and its rank is not read. One that keeps
        # something of its users finds nobody of the number -1, and says so.
        cases = RankingCases(users, histories, np.zeros(len(requests), np.int64))
        found = self.recommender.recommend(cases, k, seen_items='removed' if remove_seen else 'kept')
        if found.items.shape[1] < k:
            raise ValueError(f'k={k} candidates asked of a recommender that lists {found.items.shape[1]}')
        return SearchResult(found.items[:, :k], found.scores[:, :k])


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
