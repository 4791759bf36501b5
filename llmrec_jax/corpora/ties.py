"""The order of events that carry the same time."""

import numpy as np
from jaxtyping import Int

# Amazon's times have the resolution of a day, so a good part of the neighbours in a history are ties.
TIES = ('file_order', 'item_id', 'shuffled')


def time_order(
    user: Int[np.ndarray, 'events'],
    timestamp: Int[np.ndarray, 'events'],
    item_id: list[str],
    ties: str,
    seed: int,
) -> Int[np.ndarray, 'events']:
    """The rows sorted by user, then time, then the tie rule.

    Args:
      user: the user of each event.
      timestamp: its time.
      item_id: the source's id of its item.
      ties: 'file_order' leaves ties as they come (a stable sort, as S3-Rec and P5 do); 'item_id' sorts them
        by the source's id; 'shuffled' puts them in a random order.
      seed: of the shuffle; the other rules do not use it.
    """
    rank = {
        'file_order': lambda: np.arange(len(user)),
        'item_id': lambda: np.unique(np.asarray(item_id, dtype=object), return_inverse=True)[1],
        'shuffled': lambda: np.random.default_rng(seed).permutation(len(user)),
    }[ties]()
    return np.lexsort((rank, timestamp, user))
