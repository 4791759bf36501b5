"""Histories, the items that follow them, and hard negatives, all counted in training histories.

PALR lengthens short histories by items three steps away: had by users who had what the user had. Candidates
that are hard to tell from the right ones are of the same category, or had by the same users. A retriever
that was fitted on these histories would put the targets first, and a model would learn to take what a
retriever finds surest instead of what follows the history.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from jaxtyping import Int

from llmrec_jax.corpora.splits import RankingCases, Sequences

# Which items are of the same category: those of the same whole path, or those that share a category which not
# every item has.
SAME_PATH, SHARED = 'path', 'shared'
ALIKE = (SAME_PATH, SHARED)


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


_FEWEST_ITEMS = 2


class Windows(NamedTuple):
    """What prompts are made of, a row a prompt.

    Attributes:
      user: row of the user.
      history: items, oldest first.
      targets: items that follow, one at least, none of them in the history shown.
    """

    user: Int[np.ndarray, 'windows']
    history: Sequences
    targets: Sequences


@dataclasses.dataclass(frozen=True)
class WindowSettings:
    """How windows are cut.

    Attributes:
      max_history: the newest items of a history that are shown.
      targets: items that follow, at most.
      per_user: windows of a user at most, drawn of all.
      user_share: share of the users who are trained on, drawn; the others are met at inference alone (the
        paper's claim to generalise to users that fine-tuning has not seen).
      lengthen_to: users with fewer training items are lengthened to so many by items of like users, see
        `nearest_items`; these are targets, never history. 0 lengthens nobody.

    Raises:
      ValueError: when a number is out of range.
    """

    max_history: int = 20
    targets: int = 10
    per_user: int = 4
    user_share: int | float = 0.2
    lengthen_to: int = 0

    def __post_init__(self):
        for name, least in (('max_history', 1), ('targets', 1), ('per_user', 1), ('lengthen_to', 0)):
            if getattr(self, name) < least:
                raise ValueError(f'WindowSettings.{name}={getattr(self, name)} must be at least {least}')
        if not 0 < self.user_share <= 1:
            raise ValueError(f'WindowSettings.user_share={self.user_share} must lie in (0, 1]')


def training_windows(train: Sequences, n_items: int, settings: WindowSettings, seed: int) -> Windows:
    """Windows of the drawn users' training histories.

    Raises:
      ValueError: when no drawn user has two training items.
    """
    rng = np.random.default_rng((seed, 0))
    possible = np.flatnonzero(train.lengths >= _FEWEST_ITEMS)
    wanted = max(1, round(settings.user_share * len(possible)))
    users = np.sort(rng.permutation(possible)[:wanted])
    if not len(users):
        raise ValueError('no user has two training items, so nothing follows a history: take another corpus')
    rows: list[tuple[int, list[int], list[int]]] = []
    for user, more in zip(users.tolist(), _lengthening(train, users, n_items, settings.lengthen_to)):
        items = train[user].tolist()
        # What follows the whole of a short history is what lengthens it.
        cuts = np.arange(1, len(items) + (1 if more else 0))
        for cut in np.sort(rng.permutation(cuts)[: settings.per_user]).tolist():
            history = items[max(cut - settings.max_history, 0) : cut]
            following = [item for item in dict.fromkeys([*items[cut:], *more]) if item not in history]
            if following:
                rows.append((user, history, following[: settings.targets]))
    return Windows(
        np.asarray([row[0] for row in rows], np.int64), _ragged_column(rows, 1), _ragged_column(rows, 2)
    )


def windows_of_cases(cases: RankingCases, max_history: int) -> Windows:
    """The newest items of each case's history, followed by its target."""
    rows = [
        (0, cases.histories[row][-max_history:].tolist(), [target])
        for row, target in enumerate(cases.target.tolist())
    ]
    return Windows(cases.user.astype(np.int64), _ragged_column(rows, 1), _ragged_column(rows, 2))


def _lengthening(
    train: Sequences, users: Int[np.ndarray, 'users'], n_items: int, lengthen_to: int
) -> list[list[int]]:
    """Of each user the items that lengthen the history."""
    missing = np.maximum(lengthen_to - train.lengths[users], 0)
    found: list[list[int]] = [[] for _ in users]
    short = np.flatnonzero(missing)
    if len(short):
        nearest = nearest_items(train, users[short], n_items, int(missing.max()))
        for place, row in enumerate(short.tolist()):
            found[row] = nearest[place][: missing[row]].tolist()
    return found


def _ragged_column(rows: list[tuple[int, list[int], list[int]]], column: int) -> Sequences:
    parts = [row[column] for row in rows]
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    return Sequences(np.asarray([item for part in parts for item in part], np.int64), offsets)


@dataclasses.dataclass(frozen=True, eq=False)
class HardNegatives:
    """Draws hard negatives; `of` makes it.

    Attributes:
      members: rows of the items of each group, ascending; items of one group are alike.
      groups: those of each item.
      together: [items, items], how many users had both in training.
    """

    members: Mapping[tuple[str, ...], Int[np.ndarray, '_']]
    groups: Sequence[Sequence[tuple[str, ...]]]
    together: sp.csr_array

    @classmethod
    def of(
        cls, train: Sequences, categories: Sequence[tuple[str, ...]], alike: str = SAME_PATH
    ) -> 'HardNegatives':
        """Counts who had what together in the training histories.

        Args:
          train: training history of each user.
          categories: of each item, from the root to the leaf; empty where unknown.
          alike: which items are of the same category, see `ALIKE`.
        """
        groups = _groups(categories, alike)
        members: dict[tuple[str, ...], list[int]] = {}
        for item, own in enumerate(groups):
            for group in own:
                members.setdefault(group, []).append(item)
        matrix = had(train, len(categories))
        rows = {group: np.asarray(items, np.int64) for group, items in members.items()}
        return cls(rows, groups, sp.csr_array(matrix.T @ matrix))

    def pool(self, targets: Sequence[int], own: set[int], size: int, rng: np.random.Generator) -> list[int]:
        """At most `size` hard negatives of these targets, of both kinds alike, in a drawn order.

        Args:
          targets: the right items.
          own: items that are no negatives.
          size: of the pool.
          rng: of the draws.
        """
        alike = np.zeros(len(self.groups), bool)
        for group in {group for target in targets for group in self.groups[target]}:
            alike[self.members[group]] = True
        alike[list(own)] = False
        counts = self.together[list(targets)].sum(axis=0)
        counts[list(own)] = 0.0
        often = np.argsort(-counts, kind='stable')[:size]
        often = often[counts[often] > 0].tolist()
        same = rng.permutation(np.flatnonzero(alike)).tolist()
        pool: dict[int, None] = {}
        for place in range(max(len(often), len(same))):
            pool.update(dict.fromkeys([*often[place : place + 1], *same[place : place + 1]]))
        return rng.permutation(np.asarray(list(pool)[:size], np.int64)).tolist()


def _groups(categories: Sequence[tuple[str, ...]], alike: str) -> Sequence[Sequence[tuple[str, ...]]]:
    if alike == SAME_PATH:
        return [[tuple(path)] if path else [] for path in categories]
    named = [set(path) for path in categories if path]
    # What every item is says nothing of two of them: the root of a shop's tree.
    common = set.intersection(*named) if named else set()
    return [[(name,) for name in dict.fromkeys(path) if name not in common] for path in categories]


def with_hard_negatives(
    windows: Windows, train: Sequences, negatives: HardNegatives, size: int, seed: int
) -> tuple[Sequences, Sequences]:
    """The columns `hard` and `excluded` that `forms.FollowingItemsOfCandidates` reads.

    What is never a negative is what training knows the user to have had: to leave out held-out items as well
    would tell of them.

    Args:
      windows: the prompts.
      train: training history of each user.
      negatives: draws them.
      size: of each pool.
      seed: of the draws.
    """
    pools, excluded = [], []
    for row, user in enumerate(windows.user.tolist()):
        targets = windows.targets[row].tolist()
        own = {*train[user].tolist(), *targets, *windows.history[row].tolist()}
        pool = negatives.pool(targets, own, size, np.random.default_rng((seed, 1, row)))
        pools.append(pool)
        excluded.append(sorted(own | set(pool)))
    return _ragged(pools), _ragged(excluded)


def _ragged(rows: list[list[int]]) -> Sequences:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Sequences(np.asarray([item for row in rows for item in row], np.int64), offsets)
