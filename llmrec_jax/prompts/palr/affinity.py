"""Items three steps away: had by users who had what the user had (PALR lengthens short histories by them)."""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from jaxtyping import Int

from llmrec_jax.corpora.splits import Sequences


def had(histories: Sequences, n_items: int) -> sp.csr_array:
    """[users, items]: 1 where the user had the item."""
    users = np.repeat(np.arange(len(histories)), histories.lengths)
    ones = np.ones(len(histories.values))
    matrix = sp.csr_array((ones, (users, histories.values)), shape=(len(histories), n_items))
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


def nearest_items(
    train: Sequences, users: Int[np.ndarray, 'chosen'] | Sequence[int], n_items: int, count: int
) -> Sequences:
    """Of each user the items nearest by user - item - user - item paths, none of the user's own.

    An item's affinity is the number of such paths, each weighted by one over the length of the history in
    its middle, so that users who had everything do not decide; equals in item order.

    Args:
      train: training history of each user.
      users: rows of the users.
      n_items: size of the catalogue.
      count: items of each user at most.
    """
    matrix = had(train, n_items)
    weights = 1 / np.maximum(train.lengths, 1)
    weighted = sp.diags_array(weights) @ matrix
    rows, found = [], []
    for user in users:
        own = matrix[[user]]
        # Users who share an item, by how many they share; then what these had.
        paths = ((own @ matrix.T) @ weighted).toarray()[0]
        paths[own.indices] = 0.0
        best = np.argsort(-paths, kind='stable')[:count]
        best = best[paths[best] > 0]
        found.append(best)
        rows.append(len(best))
    offsets = np.concatenate([[0], np.cumsum(rows)]).astype(np.int64)
    return Sequences(np.concatenate([np.zeros(0, np.int64), *found]), offsets)
