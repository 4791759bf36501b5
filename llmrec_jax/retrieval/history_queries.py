"""Queries made of a history's own item vectors: content-based retrieval with nothing trained."""

import numpy as np
from jaxtyping import Float, Float32

from llmrec_jax.corpora.splits import Sequences


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
