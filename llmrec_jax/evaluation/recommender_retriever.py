"""Any recommender as a retriever: floors, sequential models and generative ones propose candidates."""

import dataclasses

import numpy as np

from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.evaluation.recommender import Recommender
from llmrec_jax.retrieval.retriever import Requests, SearchResult, check_k


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
