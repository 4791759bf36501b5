"""What every retriever offers: candidates for those who ask, whatever it finds them by."""

from typing import Protocol, runtime_checkable

from llmrec_jax.retrieval.requests import Requests
from llmrec_jax.retrieval.search_result import SearchResult


@runtime_checkable
class Retriever(Protocol):
    """A system that finds candidates by histories or texts: a first stage, whose candidates another may rank.

    `VectorRetriever` makes one of an index and a query encoder, `BM25` goes by words, and
    `evaluation.recommender_retriever.RecommenderRetriever` makes one of any recommender; the other way round,
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
