"""The ways to split a corpus into what is learned from, what validates and what tests.

| rule | holds out | as in |
|---|---|---|
| `LeaveLastOut` | of each user the last two events | S3-Rec, P5, TIGER |
| `UserTemporal` | of each user the last shares of events | rating prediction in time |
| `GlobalTemporal` | all events from two dates on | what is served tomorrow |
| `drawn_splits.ByUser` | users, of whom a first part is given | KAR |
| `drawn_splits.RandomEvents` | events at random | LLM-Rec, ratings in P5 |
| `drawn_splits.FewShot` | what another rule does, and most of what is left to learn from | |

Rankings ask each user for one next item a split at most. Who has nothing in the history by then is not asked.
"""

import dataclasses
import datetime
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from llmrec_jax.corpora.clock import has_clock
from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.splits import TEST, VALIDATION, Cut, Splits, cut_ends


@runtime_checkable
class SplitRule(Protocol):
    """A frozen dataclass that cuts a corpus; its fields are what gin sets.

    Attributes:
      whole_histories: whether the history of a test case is all that the user did before.
      validation_in_history: whether a user's test history holds the validation item.
    """

    whole_histories: bool
    validation_in_history: bool

    @property
    def name(self) -> str:
        """In results, and at the end of names of metrics (but for leave-last-out)."""

    def cut(self, corpus: Corpus) -> Cut:
        """The role of each event.

        Raises:
          ValueError: when the corpus cannot be split so.
        """


class SplitDefaults:
    """What most rules have in common."""

    whole_histories: ClassVar[bool] = True
    validation_in_history: ClassVar[bool] = True


@dataclasses.dataclass(frozen=True)
class LeaveLastOut(SplitDefaults):
    """The last event of a user tests, the last but one validates; see `splits.leave_last_out`."""

    name: ClassVar[str] = 'leave_last_out'

    def cut(self, corpus: Corpus) -> Cut:
        """See `SplitRule`."""
        one = np.ones(len(corpus.users), np.int64)
        return cut_ends(corpus, one, one)


# What everything is split by where nothing else is said.
LEAVE_LAST_OUT = LeaveLastOut()


@dataclasses.dataclass(frozen=True)
class OnTopOf:
    """What rules have in common that change what another one made.

    Attributes:
      split: the other rule.
    """

    split: SplitRule = LEAVE_LAST_OUT

    @property
    def whole_histories(self) -> bool:
        """See `SplitRule`."""
        return self.split.whole_histories

    @property
    def validation_in_history(self) -> bool:
        """See `SplitRule`."""
        return self.split.validation_in_history

    def named(self, change: str) -> str:
        """The name of the rule, by what it changes of the other."""
        return change if is_default(self.split) else f'{self.split.name}_{change}'


@dataclasses.dataclass(frozen=True)
class UserTemporal(SplitDefaults):
    """The last share of each user's events tests, the share before it validates; at least one event each.

    Users with fewer than three events are in training alone. Rankings ask for the first event of each part,
    ratings for all.

    Attributes:
      validation: share of a user's events.
      test: likewise.

    Raises:
      ValueError: when a share is not above 0, or nothing is left.
    """

    validation: float = 0.1
    test: float = 0.1
    name: ClassVar[str] = 'user_temporal'

    def __post_init__(self):
        check_shares(self, self.validation, self.test)

    def cut(self, corpus: Corpus) -> Cut:
        """See `SplitRule`."""
        lengths = np.diff(corpus.user_offsets)
        # Of histories that are cut at all, one event each and one to learn from are left.
        test = np.clip((self.test * lengths).astype(np.int64), 1, np.maximum(lengths - 2, 1))
        most = np.maximum(lengths - 1 - test, 1)
        return cut_ends(corpus, np.clip((self.validation * lengths).astype(np.int64), 1, most), test)


@dataclasses.dataclass(frozen=True)
class GlobalTemporal(SplitDefaults):
    """Everything before one moment is learned from, everything from a second one on tests.

    Rankings ask for the first event of a user in each period that has an earlier one. A user who came in
    the period itself is asked for the second event, and training knows nothing of the first.

    Attributes:
      validation_from: a date, as '2014-01-31' (from midnight, UTC), or the share of all events before it.
      test_from: likewise, later.

    Raises:
      ValueError: when one is neither a date nor a share, or the second is not later.
    """

    validation_from: str | float = 0.8
    test_from: str | float = 0.9
    name: ClassVar[str] = 'global_temporal'

    def __post_init__(self):
        for field in ('validation_from', 'test_from'):
            value = getattr(self, field)
            if isinstance(value, str):
                _seconds(field, value)
            elif not 0 < value < 1:
                raise ValueError(
                    f"GlobalTemporal.{field}={value} must be a date, as '2014-01-31', or a share in (0, 1)"
                )
        alike = isinstance(self.validation_from, str) == isinstance(self.test_from, str)
        if alike and self.validation_from >= self.test_from:
            raise ValueError(
                f'GlobalTemporal.test_from={self.test_from!r} must be later than validation_from='
                f'{self.validation_from!r}'
            )

    def cut(self, corpus: Corpus) -> Cut:
        """See `SplitRule`.

        Raises:
          ValueError: further, when the corpus has no clock, or a part is empty.
        """
        if not has_clock(corpus):
            raise ValueError(
                f'GlobalTemporal: {corpus.name} has no clock, only the order of each history; take a split '
                'of each user, as LeaveLastOut or UserTemporal'
            )
        times = corpus.events.timestamp
        first, second = (self._moment(field, times) for field in ('validation_from', 'test_from'))
        roles = ((times >= first).astype(np.int64) + (times >= second)) if first < second else None
        if roles is None or (np.bincount(roles, minlength=3) == 0).any():
            ends = [np.datetime64(int(end), 's').astype(str) for end in (times.min(), times.max())]
            raise ValueError(
                f'GlobalTemporal: validation_from={self.validation_from!r} and test_from={self.test_from!r} '
                f'leave a part of {corpus.name} empty, whose events lie between {ends[0]} and {ends[1]}'
            )
        return Cut(
            roles,
            _first_asked(corpus, roles, VALIDATION),
            _first_asked(corpus, roles, TEST),
            train_until=first,
        )

    def _moment(self, field: str, times: Int[np.ndarray, 'events']) -> int:
        value = getattr(self, field)
        if isinstance(value, str):
            return _seconds(field, value)
        # Events of one second are on one side.
        return int(np.sort(times)[int(value * len(times))])


def is_default(rule: SplitRule) -> bool:
    """Whether a rule is leave-last-out, whose results bear no name of a split."""
    return rule == LEAVE_LAST_OUT


def cut_by(rule: SplitRule, corpus: Corpus) -> Cut:
    """The role of each event, and that there is somebody to ask.

    Raises:
      ValueError: when the corpus cannot be split so, or nobody is left to ask on a split.
    """
    cut = rule.cut(corpus)
    for part in ('validation', 'test'):
        if not is_default(rule) and not len(getattr(cut, part)):
            raise ValueError(f'{type(rule).__name__}: nobody of {corpus.name} is asked on the {part} split')
    return cut


def split_by(rule: SplitRule, corpus: Corpus) -> Splits:
    """The three parts; see `cut_by`."""
    return cut_by(rule, corpus).splits(corpus)


def described(rule: SplitRule) -> dict[str, Any]:
    """A rule in results: its name and its settings."""
    return {
        'split_rule': rule.name,
        'validation_item_in_test_history': rule.validation_in_history,
        **({} if is_default(rule) else {'split_settings': _settings(rule)}),
    }


def _settings(rule: SplitRule) -> dict[str, Any]:
    values = {field.name: getattr(rule, field.name) for field in dataclasses.fields(rule)}
    return {
        name: described(value) if isinstance(value, SplitRule) else value for name, value in values.items()
    }


def _first_asked(corpus: Corpus, roles: Int[np.ndarray, 'events'], part: int) -> Int[np.ndarray, 'cases']:
    """Of each user the first event of a part that has an earlier event, of any part."""
    user = corpus.events.user
    rows = np.flatnonzero((roles == part) & (np.arange(len(user)) > corpus.user_offsets[user]))
    return rows[np.unique(user[rows], return_index=True)[1]]


def check_shares(rule: SplitRule, validation: float, test: float) -> None:
    """Looks whether something is held out and something left.

    Args:
      rule: whose shares.
      validation: share that validates.
      test: share that tests.

    Raises:
      ValueError: when it is not so.
    """
    if min(validation, test) <= 0 or validation + test >= 1:
        raise ValueError(
            f'{type(rule).__name__}: shares of {validation} and {test} must be above 0 and leave something '
            'to learn from'
        )


def _seconds(field: str, date: str) -> int:
    try:
        day = datetime.date.fromisoformat(date)
    except ValueError as error:
        raise ValueError(f"GlobalTemporal.{field}={date!r} is no date, as '2014-01-31'") from error
    return int(datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.UTC).timestamp())
