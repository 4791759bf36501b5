"""Counts of a training set, and what a history holds, as sparse matrices."""

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float

from llmrec_jax.corpora.splits import Sequences


def item_counts(train: Sequences, n_items: int) -> Float[np.ndarray, 'items']:
    """How often each item occurs."""
    return np.bincount(train.values, minlength=n_items).astype(np.float64)


def transition_counts(train: Sequences, n_items: int) -> sp.csr_array:
    """[items, items]: how often the column's item came directly after the row's, within one history."""
    followed = np.ones(max(len(train.values) - 1, 0), bool)
    ends = train.offsets[1:-1]
    followed[ends[(ends > 0) & (ends < len(train.values))] - 1] = False
    return _sum_of_ones(train.values[:-1][followed], train.values[1:][followed], (n_items, n_items))


def interactions(train: Sequences, n_items: int) -> sp.csr_array:
    """[users, items]: 1 where the user had the item, however often."""
    users = np.repeat(np.arange(len(train)), train.lengths)
    matrix = _sum_of_ones(users, train.values, (len(train), n_items))
    matrix.data[:] = 1.0
    return matrix


def history_weights(histories: Sequences, n_items: int, decay: float) -> sp.csr_array:
    """[cases, items]: decay ** lag summed over an item's occurrences; the last item has lag 0."""
    rows = np.repeat(np.arange(len(histories)), histories.lengths)
    lag = np.repeat(histories.offsets[1:], histories.lengths) - 1 - np.arange(len(histories.values))
    weights = np.power(float(decay), lag)
    return sp.csr_array((weights, (rows, histories.values)), shape=(len(histories), n_items))


def _sum_of_ones(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> sp.csr_array:
    matrix = sp.csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    matrix.sum_duplicates()
    return matrix
