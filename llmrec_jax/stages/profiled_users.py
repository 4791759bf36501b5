"""Whose profiles are written, and what of each history is shown."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.prompts.naming.scheme import distinct
from llmrec_jax.prompts.palr.profile_text import ShownItem
from llmrec_jax.subsets import draw_rows


@dataclasses.dataclass(frozen=True, eq=False)
class ProfiledUsers:
    """Training histories as prompts show them: what is held out is in no profile.

    Attributes:
      histories: row of a user to the rows of the items shown, oldest first, each once.
      items: every item of the catalogue as it is shown.
    """

    histories: Mapping[int, tuple[int, ...]]
    items: Sequence[ShownItem]

    def shown(self, user: int) -> list[ShownItem]:
        """The user's history."""
        return [self.items[item] for item in self.histories[user]]


def profiled_users(
    train: Sequences, items: Sequence[ShownItem], max_history: int, max_users: int | None, seed: int
) -> ProfiledUsers:
    """The newest items of the training histories of all users, or of some.

    Args:
      train: training history of each user.
      items: the catalogue.
      max_history: items of a user at most, the newest; of an item that comes again, the last time counts.
      max_users: users, drawn by `seed`; None for all.
      seed: of the draw.
    """
    users = np.flatnonzero(train.lengths)
    users = users[draw_rows(len(users), max_users, seed)]
    histories = {}
    for user in users.tolist():
        newest_first = dict.fromkeys(reversed(train[user].tolist()))
        histories[user] = tuple(reversed(list(newest_first)[:max_history]))
    return ProfiledUsers(histories, items)


def shown_items(
    names: Sequence[str], categories: Sequence[Sequence[str]], max_keywords: int
) -> list[ShownItem]:
    """The catalogue as it is shown.

    Args:
      names: of the items; a quotation mark would end a name too early, so it becomes an apostrophe.
      categories: of the items, from the root to the leaf; those that all items have say nothing and are left
        out.
      max_keywords: categories of an item at most, the most special.
    """
    quotable = distinct([name.replace('"', "'") for name in names])
    common = set.intersection(*map(set, categories)) if categories else set()
    return [
        ShownItem(name, tuple(word for word in path if word and word not in common)[-max_keywords:])
        for name, path in zip(quotable, categories, strict=True)
    ]
