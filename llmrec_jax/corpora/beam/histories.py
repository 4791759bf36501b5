"""What the pipeline does to one user's history; it needs no Beam.

An event of a history knows its position in the table: the number of its part, then its row. Positions stand
in the order of the files, so that whatever the in-memory road does in that order can be done in any.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import NamedTuple

from llmrec_jax.corpora.id_order import is_no_chance

# Rows of one part.
_ROW_BITS = 40


class Event(NamedTuple):
    """One event of a user; the columns of `RawEvents` without the user."""

    position: int
    item: str
    ticks: int
    rating: float
    summary: str
    review: str


class History(NamedTuple):
    """A user's id and events, in the order of the files."""

    user: str
    events: list[Event]


def position(part: int, row: int) -> int:
    """The position of a row of a part."""
    return (part << _ROW_BITS) + row


def place(found: int) -> tuple[int, int]:
    """The part and the row of a position."""
    return found >> _ROW_BITS, found & ((1 << _ROW_BITS) - 1)


def history_of(user: str, events: Iterable[Event], *, has_times: bool) -> tuple[History, list[Event]]:
    """A user's events in the order of the files, each combination of item and time once; and all others.

    Args:
      user: the id.
      events: in any order.
      has_times: whether `ticks` are times; an event's time is its place in the history otherwise.
    """
    ordered = sorted(events, key=lambda event: event.position)
    if not has_times:
        ordered = [event._replace(ticks=place) for place, event in enumerate(ordered)]
    first: dict[tuple[str, int], Event] = {}
    for event in ordered:
        first.setdefault((event.item, event.ticks), event)
    again = [event for event in ordered if first[event.item, event.ticks] is not event]
    return History(user, list(first.values())), again


def kept(history: History, items: Container[str] | None, k: int) -> History | None:
    """The events with these items, if they are `k` at least; None otherwise.

    Args:
      history: of a user.
      items: that are left; None for all.
      k: fewest events.
    """
    events = history.events
    if items is not None:
        events = [event for event in events if event.item in items]
    return History(history.user, events) if len(events) >= max(k, 1) else None


@dataclasses.dataclass(frozen=True)
class StepCounts:
    """How often events go up in ids, for one order of the ids; see `id_order.follows_ids`.

    Attributes:
      up: neighbours that tie and go up.
      steps: neighbours that tie and go up or down.
      all_up: whether no event of a user has a smaller id than the one before it in the file.
      all_down: whether none has a larger one.
    """

    up: int
    steps: int
    all_up: bool
    all_down: bool

    def __add__(self, other: 'StepCounts') -> 'StepCounts':
        return StepCounts(
            self.up + other.up,
            self.steps + other.steps,
            self.all_up and other.all_up,
            self.all_down and other.all_down,
        )

    @property
    def follow_ids(self) -> bool:
        """Whether the file lists ties by id."""
        return is_no_chance(self.up, self.steps, self.all_up or self.all_down)


@dataclasses.dataclass(frozen=True)
class OrderCounts:
    """Of ties, what decides on their order.

    Attributes:
      tied: events that share their time with another of their user.
      steps: for each order of the ids.
    """

    tied: int
    steps: tuple[StepCounts, ...]

    def __add__(self, other: 'OrderCounts') -> 'OrderCounts':
        steps = tuple(mine + theirs for mine, theirs in zip(self.steps, other.steps))
        return OrderCounts(self.tied + other.tied, steps)

    def to_json(self) -> list:
        """What `from_json` reads."""
        return [self.tied, [dataclasses.astuple(steps) for steps in self.steps]]

    @classmethod
    def from_json(cls, value: list) -> 'OrderCounts':
        """What `to_json` wrote."""
        return cls(value[0], tuple(StepCounts(*steps) for steps in value[1]))

    @property
    def follow_ids(self) -> bool:
        """Whether ties are listed by the ids of their items."""
        return self.tied > 0 and any(steps.follow_ids for steps in self.steps)


def summed(counts: Iterable[OrderCounts]) -> OrderCounts | None:
    """The counts of several histories; None of none."""
    known = [one for one in counts if one is not None]
    return functools.reduce(OrderCounts.__add__, known) if known else None


def order_counts(history: History, ranks: Mapping[str, Sequence[int]]) -> OrderCounts:
    """What one history says of the order of ties.

    Args:
      history: of a user.
      ranks: of each item, its rank in each order of the ids.
    """
    listed = [ranks[event.item] for event in history.events]
    by_time = sorted(range(len(listed)), key=lambda row: history.events[row].ticks)
    pairs = [
        (before, after)
        for before, after in itertools.pairwise(by_time)
        if history.events[before].ticks == history.events[after].ticks
    ]
    steps = []
    for order in range(len(listed[0])):
        moves = [listed[after][order] - listed[before][order] for before, after in pairs]
        through = [after[order] - before[order] for before, after in itertools.pairwise(listed)]
        steps.append(
            StepCounts(
                sum(move > 0 for move in moves),
                sum(move != 0 for move in moves),
                all(move >= 0 for move in through),
                all(move <= 0 for move in through),
            )
        )
    return OrderCounts(len({row for pair in pairs for row in pair}), tuple(steps))


def in_time_order(history: History, tie_rank: Callable[[Event], int | str]) -> list[Event]:
    """The events by time, and those of one time by `tie_rank`."""
    return sorted(history.events, key=lambda event: (event.ticks, tie_rank(event), event.position))
