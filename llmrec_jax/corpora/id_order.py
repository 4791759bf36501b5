"""Whether events of the same time stand in the order of their items' ids, which gives the next item away.

A file that lists a user's events by item keeps that order wherever times tie, and a model learns it in spite
of relabelling: after item x comes the next larger id. MovieLens from 10m on lists ratings by movie; Amazon's
reviews of 2014 are listed by product, and their times have the resolution of a day.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int

# Neighbours that tie go up or down in ids by chance; so many standard deviations are no chance.
_DEVIATIONS = 4.0
# With fewer neighbours that tie, the order of a user's other events tells of the file as well.
_FEW = 100


def tied_neighbours(
    user: Int[np.ndarray, 'events'], timestamp: Int[np.ndarray, 'events']
) -> Bool[np.ndarray, 'pairs']:
    """Of events sorted by user and time: whether each ties with the one after it."""
    return (np.diff(user) == 0) & (np.diff(timestamp) == 0)


def tied_share(neighbours: Bool[np.ndarray, 'pairs']) -> float:
    """The share of events that share their user and time with another; see `tied_neighbours`."""
    either = np.concatenate([neighbours, [False]]) | np.concatenate([[False], neighbours])
    return float(either.mean())


def follows_ids(
    user: Int[np.ndarray, 'events'],
    item: Int[np.ndarray, 'events'],
    item_ids: Sequence[str],
    order: Int[np.ndarray, 'events'],
    neighbours: Bool[np.ndarray, 'pairs'],
) -> bool:
    """Whether the order in which a file lists tied events follows the ids of their items.

    It does where neighbours that tie go up in ids, or down, far more often than by chance. Where few tie, it
    also does where every user's events, tied or not, go up in ids through the file, or all go down. Ids that
    are numbers are compared as numbers, and all as texts.

    Args:
      user: the user of each event, in the order of the file.
      item: the item of each event.
      item_ids: the source's id of each item.
      order: sorts the events by user and time, and leaves ties as the file lists them.
      neighbours: which of the sorted events tie with the one after them.
    """
    ties = np.flatnonzero(neighbours)
    if not len(ties):
        return False
    pair = item[order[ties]], item[order[ties + 1]]
    return any(_follows(rank, pair, user, item) for rank in ranks(item_ids))


def ranks(item_ids: Sequence[str]) -> list[Int[np.ndarray, 'items']]:
    """The place of each id among all: as texts, and if all are numbers also as numbers."""
    ids = list(item_ids)
    sorts = [sorted(range(len(ids)), key=ids.__getitem__)]
    if all(value.isascii() and value.isdigit() and len(value) < 19 for value in ids):
        sorts.append(sorted(range(len(ids)), key=lambda row: int(ids[row])))
    return [np.argsort(np.asarray(rows, np.int64)) for rows in sorts]


def _follows(
    rank: np.ndarray, pair: tuple[np.ndarray, np.ndarray], user: np.ndarray, item: np.ndarray
) -> bool:
    before, after = pair
    steps = rank[after] - rank[before]
    steps = steps[steps != 0]
    up = int(np.sum(steps > 0))
    if len(steps) >= _FEW:
        return is_no_chance(up, len(steps), one_way=False)
    by_user = np.argsort(user, kind='stable')
    listed = np.diff(rank[item[by_user]])[np.diff(user[by_user]) == 0]
    return is_no_chance(up, len(steps), bool(np.all(listed >= 0) or np.all(listed <= 0)))


def is_no_chance(up: int, steps: int, one_way: bool) -> bool:
    """Whether neighbours that tie go up in ids, or down, far more often than by chance.

    Args:
      up: how many go up.
      steps: how many go up or down.
      one_way: whether every user's events go up through the file, or all go down; tells where few tie.
    """
    # Of n fair coins the share of heads deviates from 1/2 by 1 / (2 sqrt(n)).
    if steps and abs(up / steps - 0.5) > _DEVIATIONS * 0.5 / np.sqrt(steps):
        return True
    return steps < _FEW and one_way
