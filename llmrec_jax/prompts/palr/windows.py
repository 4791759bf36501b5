"""Histories and the items that follow them, cut from training histories."""

import dataclasses
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from llmrec_jax.corpora.splits import RankingCases, Sequences
from llmrec_jax.prompts.palr.affinity import nearest_items

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
        `affinity`; these are targets, never history. 0 lengthens nobody.

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
    return Windows(np.asarray([row[0] for row in rows], np.int64), _ragged(rows, 1), _ragged(rows, 2))


def windows_of_cases(cases: RankingCases, max_history: int) -> Windows:
    """The newest items of each case's history, followed by its target."""
    rows = [
        (0, cases.histories[row][-max_history:].tolist(), [target])
        for row, target in enumerate(cases.target.tolist())
    ]
    return Windows(cases.user.astype(np.int64), _ragged(rows, 1), _ragged(rows, 2))


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


def _ragged(rows: list[tuple[int, list[int], list[int]]], column: int) -> Sequences:
    parts = [row[column] for row in rows]
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    return Sequences(np.asarray([item for part in parts for item in part], np.int64), offsets)
