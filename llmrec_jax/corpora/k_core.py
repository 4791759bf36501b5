"""The k-core of the graph of users and items."""

import numpy as np
from jaxtyping import Bool, Int


def k_core(
    user: Int[np.ndarray, 'events'], item: Int[np.ndarray, 'events'], k: int
) -> Bool[np.ndarray, 'events']:
    """Which events are in the k-core, the largest set in which users and items have at least k events each.

    Users and items with fewer events are dropped until none is left; the order of dropping does not matter.
    Two events of one user with one item count twice.
    """
    kept = np.ones(len(user), bool)
    if not len(user):
        return kept
    users, items = int(user.max()) + 1, int(item.max()) + 1
    while True:
        enough = (np.bincount(user[kept], minlength=users)[user] >= k) & (
            np.bincount(item[kept], minlength=items)[item] >= k
        )
        if (kept <= enough).all():
            return kept
        kept &= enough
