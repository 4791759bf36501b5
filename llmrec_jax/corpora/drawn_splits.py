"""Splits that are drawn by a seed: users, events, or a few of either to learn from."""

import dataclasses
from typing import ClassVar

import numpy as np
from jaxtyping import Int

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.source import one_of
from llmrec_jax.corpora.split_rules import OnTopOf, SplitDefaults, check_shares
from llmrec_jax.corpora.splits import GIVEN, GIVEN_EVENTS, TEST, TRAIN, VALIDATION, Cut
from llmrec_jax.subsets import draw_rows

USERS, EVENTS = 'users', 'events'
_FEWEST_OF_A_USER = 2


@dataclasses.dataclass(frozen=True)
class ByUser(SplitDefaults):
    """Some users test and some validate, of whom training knows nothing (KAR splits users 9:1).

    The first part of such a user's events is given as the history; rankings ask for the event after it.
    Users of a single event are in training.

    Attributes:
      validation: share of the users.
      test: likewise.
      history: share of the events of a user who is held out that is given; one event at least.
      seed: of the draw.

    Raises:
      ValueError: when a share is out of range.
    """

    validation: float = 0.1
    test: float = 0.1
    history: float = 0.5
    seed: int = 0
    name: ClassVar[str] = 'by_user'
    validation_in_history: ClassVar[bool] = False

    def __post_init__(self):
        check_shares(self, self.validation, self.test)
        if not 0 < self.history < 1:
            raise ValueError(f'ByUser.history={self.history} must lie in (0, 1)')

    def cut(self, corpus: Corpus) -> Cut:
        """See `SplitRule`.

        Raises:
          ValueError: further, when there are too few users of two events or more.
        """
        offsets = corpus.user_offsets
        lengths = np.diff(offsets)
        possible = np.flatnonzero(lengths >= _FEWEST_OF_A_USER)
        wanted = [max(1, round(share * len(possible))) for share in (self.test, self.validation)]
        if sum(wanted) >= len(possible):
            raise ValueError(
                f'ByUser: {corpus.name} has {len(possible)} users of two events or more, too few to hold '
                f'{sum(wanted)} out and to learn from one'
            )
        drawn = np.random.default_rng(self.seed).permutation(possible)
        role = np.full(len(lengths), TRAIN)
        role[drawn[: wanted[0]]] = TEST
        role[drawn[wanted[0] : sum(wanted)]] = VALIDATION
        given = np.clip(np.round(self.history * lengths).astype(np.int64), 1, np.maximum(lengths - 1, 1))
        user = corpus.events.user
        position = np.arange(len(user)) - offsets[user]
        roles = np.where((role[user] != TRAIN) & (position < given[user]), GIVEN, role[user])
        asked = offsets[:-1] + given
        return Cut(roles, *(asked[role == part] for part in (VALIDATION, TEST)))


@dataclasses.dataclass(frozen=True)
class RandomEvents(SplitDefaults):
    """Events test and validate at random, each user and each item kept in training (LLM-Rec; P5's ratings).

    A history is all that training knows of the user, later events too: time is not respected, which `overlap`
    counts. Rankings ask each user for one of the held-out events, drawn; ratings for all.

    Attributes:
      validation: share of the events.
      test: likewise.
      seed: of the draw.

    Raises:
      ValueError: when a share is not above 0, or nothing is left.
    """

    validation: float = 0.1
    test: float = 0.1
    seed: int = 0
    name: ClassVar[str] = 'random_events'
    whole_histories: ClassVar[bool] = False
    validation_in_history: ClassVar[bool] = False

    def __post_init__(self):
        check_shares(self, self.validation, self.test)

    def cut(self, corpus: Corpus) -> Cut:
        """See `SplitRule`."""
        roles = random_roles(corpus, self.seed, self.validation, self.test)
        order = np.random.default_rng((self.seed, 1)).permutation(len(roles))
        asked = []
        for part in (VALIDATION, TEST):
            rows = order[roles[order] == part]
            asked.append(np.sort(rows[np.unique(corpus.events.user[rows], return_index=True)[1]]))
        return Cut(roles, *asked, histories=GIVEN_EVENTS)


@dataclasses.dataclass(frozen=True)
class FewShot(OnTopOf):
    """What another rule holds out, and a share of what it leaves to learn from.

    Histories at the time of asking stay as they are: what is given is not learned from.

    Attributes:
      split: see `OnTopOf`.
      share: of the training users, or of the training events; a larger share of one seed holds a smaller.
      of: 'users' or 'events'.
      seed: of the draw.

    Raises:
      ValueError: when the share is out of range.
    """

    share: float = 0.1
    of: str = USERS
    seed: int = 0

    def __post_init__(self):
        one_of('FewShot.of', self.of, (USERS, EVENTS))
        if not 0 < self.share < 1:
            raise ValueError(f'FewShot.share={self.share} must lie in (0, 1)')

    @property
    def name(self) -> str:
        """See `SplitRule`; e.g. 'few_users_0.1'."""
        return self.named(f'few_{self.of}_{self.share:g}')

    def cut(self, corpus: Corpus) -> Cut:
        """See `SplitRule`."""
        whole = self.split.cut(corpus)
        rows = np.flatnonzero(whole.roles == TRAIN)
        group = np.arange(len(rows))
        if self.of == USERS:
            group = np.unique(corpus.events.user[rows], return_inverse=True)[1]
        groups = int(group.max(initial=-1)) + 1
        drawn = draw_rows(groups, max(1, round(self.share * groups)), self.seed)
        roles = whole.roles.copy()
        roles[rows[~np.isin(group, drawn)]] = GIVEN
        return dataclasses.replace(whole, roles=roles)


def random_roles(
    corpus: Corpus, seed: int, validation: float = 0.1, test: float = 0.1
) -> Int[np.ndarray, 'events']:
    """Random roles, each user and each item kept in training (P5's split of ratings, reviews, explanations).

    It knows nothing of the split that ranks, so that families of reviews that are split so show most of what
    that holds out; see `prompts.records.event_roles.overlap`.

    Args:
      corpus: its events.
      seed: of the draw.
      validation: share of all events; fewer where that would take a user's or an item's only one.
      test: likewise, drawn first.

    Raises:
      ValueError: when the shares are negative or leave nothing to train on.
    """
    if min(validation, test) < 0 or validation + test >= 1:
        raise ValueError(f'shares of {validation} and {test} leave nothing to train on')
    events = corpus.events
    order = np.random.default_rng(seed).permutation(len(events))
    kept = np.zeros(len(events), bool)
    for column in (events.user, events.item):
        kept[order[np.unique(column[order], return_index=True)[1]]] = True
    free = order[~kept[order]]
    tests = round(test * len(events))
    roles = np.full(len(events), TRAIN, np.int64)
    roles[free[:tests]] = TEST
    roles[free[tests : tests + round(validation * len(events))]] = VALIDATION
    return roles
