"""How much of the truth an approximate index finds."""

import numpy as np
from jaxtyping import Float

from llmrec_jax.retrieval.exact import ExactSearch
from llmrec_jax.retrieval.search_result import SearchResult
from llmrec_jax.retrieval.vector_index import VectorIndex


def recall_against_exact(
    index: VectorIndex, exact: ExactSearch, queries: Float[np.ndarray, 'queries dim'], k: int
) -> float:
    """Share of the true `k` best items of the queries that `index` returns among its `k`.

    Items are compared, never scores, so an index is not judged by its own arithmetic; an item that merely
    ties with the k-th best counts as missed, which makes this a lower bound where vectors repeat.

    Raises:
      ValueError: there are no queries, or see `VectorIndex.search`.
    """
    if not len(queries):
        raise ValueError('recall is not defined without queries')
    return float(recall_by_query(exact.search(queries, k), index.search(queries, k)).mean())


def recall_by_query(truth: SearchResult, found: SearchResult) -> Float[np.ndarray, 'queries']:
    """Share of each query's true items that were found."""
    return np.array([np.isin(t, f).mean() for t, f in zip(truth.items, found.items)])
