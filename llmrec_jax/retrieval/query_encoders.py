"""Query vectors with nothing trained: of a history's own item vectors, or of a text."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from llmrec_jax.retrieval.history_queries import last_item_queries, mean_queries
from llmrec_jax.retrieval.requests import Requests

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
