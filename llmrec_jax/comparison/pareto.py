"""Which points no other is better than in one respect and as good in the other."""

import numpy as np
from jaxtyping import Bool, Float


def pareto_front(
    costs: Float[np.ndarray, 'points'], qualities: Float[np.ndarray, 'points']
) -> Bool[np.ndarray, 'points']:
    """Whether no other point costs less at no lower quality, or is better at no higher cost.

    Points that are equal in both are all on the front.

    >>> pareto_front(np.array([1.0, 2.0, 3.0]), np.array([0.2, 0.1, 0.3])).tolist()
    [True, False, True]

    Args:
      costs: less is better.
      qualities: more is better.
    """
    no_dearer = costs[None, :] <= costs[:, None]
    no_worse = qualities[None, :] >= qualities[:, None]
    better = (costs[None, :] < costs[:, None]) | (qualities[None, :] > qualities[:, None])
    return ~(no_dearer & no_worse & better).any(axis=1)
