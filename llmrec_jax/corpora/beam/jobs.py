"""The jobs of the pipeline, each of which reads files of the workspace and writes others there.

What is as large as the catalogue, or holds a number for each user, lies in files that a worker loads once.
"""

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.coders import PickleCoder
from apache_beam.io import ReadFromTFRecord, WriteToText, WriteToTFRecord

from llmrec_jax.corpora.beam import histories, user_blocks
from llmrec_jax.corpora.beam.histories import Event, History
from llmrec_jax.corpora.beam.reading import Reading
from llmrec_jax.corpora.beam.user_blocks import UserRow
from llmrec_jax.corpora.beam.workspace import Workspace

Pipelines = Callable[[], beam.Pipeline]
_HISTORIES = 'histories'
# Larger than any position.
NO_POSITION = 1 << 62


def look(pipelines: Pipelines, space: Workspace, reading: Reading, paths: Sequence[Path]) -> None:
    """Writes 'seen': what each part holds as far as all must agree; see `Reading.look`."""
    with pipelines() as pipeline:
        _write_lines(_parts(pipeline, paths) | 'Look' >> beam.MapTuple(reading.look), space, 'seen')


def read(pipelines: Pipelines, space: Workspace, reading: Reading, paths: Sequence[Path]) -> None:
    """Writes every user's history, each event once.

    'once' tells how many events there are so, and the position of the first that comes again.
    """
    with pipelines() as pipeline:
        counted = (
            _parts(pipeline, paths)
            | 'Read' >> beam.FlatMapTuple(reading.events)
            | 'ByUser' >> beam.GroupByKey()
            | 'Once' >> beam.MapTuple(functools.partial(_once, has_times=reading.per_second is not None))
        )
        whole = counted | 'History' >> beam.Map(lambda pair: pair[0])
        whole | 'Write' >> WriteToTFRecord(space.path(_HISTORIES), coder=PickleCoder())
        totals = (
            counted
            | 'Counts' >> beam.Map(lambda pair: pair[1])
            | 'Sum' >> beam.CombineGlobally(_sum_and_first)
        )
        _write_lines(totals, space, 'once')


def core_round(pipelines: Pipelines, space: Workspace, items: str | None, k: int, output: str) -> None:
    """One round of the k-core: writes the items of which enough events are left.

    Args:
      pipelines: makes a pipeline.
      space: of the histories.
      items: the output of the round before; None for all items.
      k: fewest events of every user and item.
      output: under which name items are written; and with '-totals' the events and users before this round.
    """
    with pipelines() as pipeline:
        core = _core(pipeline, space, items, k)
        left = (
            core
            | 'Items' >> beam.FlatMap(lambda history: [event.item for event in history.events])
            | 'CountItems' >> beam.combiners.Count.PerElement()
            | 'Enough' >> beam.Filter(lambda counted: counted[1] >= k)
            | 'Item' >> beam.Map(lambda counted: counted[0])
        )
        _write_lines(left, space, output)
        totals = (
            core
            | 'Counts' >> beam.Map(lambda history: (len(history.events), 1))
            | 'Sum' >> beam.CombineGlobally(_sums)
        )
        _write_lines(totals, space, f'{output}-totals')


def order(
    pipelines: Pipelines, space: Workspace, items: str, k: int, ranks: str, *, user_ids: bool, positions: bool
) -> None:
    """Writes what the order of rows and of ties is made from.

    'first-items' has of each item, 'first-users' of each user the position of the first event; 'ties' counts
    ties.

    Args:
      pipelines: makes a pipeline.
      space: of the histories.
      items: of the k-core.
      k: fewest events.
      ranks: under which name the ranks of the items' ids lie.
      user_ids: write 'user-ids' too.
      positions: write 'positions' of all events too.
    """
    with pipelines() as pipeline:
        core = _core(pipeline, space, items, k)
        first = (
            core
            | 'ItemPlaces' >> beam.FlatMap(lambda one: [(event.item, event.position) for event in one.events])
            | 'First' >> beam.CombinePerKey(min)
        )
        _write_lines(first, space, 'first-items')
        _write_lines(core | 'FirstEvent' >> beam.Map(_first_position), space, 'first-users')
        ties = (
            core
            | 'Ties' >> beam.ParDo(_CountTies(space, ranks))
            | 'SumTies' >> beam.CombineGlobally(histories.summed).without_defaults()
            | 'TiesAsJson' >> beam.Map(histories.OrderCounts.to_json)
        )
        _write_lines(ties, space, 'ties')
        if user_ids:
            _write_lines(core | 'UserIds' >> beam.Map(lambda history: history.user), space, 'user-ids')
        if positions:
            places = core | 'Places' >> beam.FlatMap(lambda one: [event.position for event in one.events])
            _write_lines(places, space, 'positions')


def users(pipelines: Pipelines, space: Workspace, items: str, k: int, rule: 'UserRows') -> None:
    """Writes the users' rows and events; see `user_blocks`."""
    with pipelines() as pipeline:
        (
            _core(pipeline, space, items, k)
            | 'Rows' >> beam.ParDo(rule)
            | 'Blocks' >> beam.GroupByKey()
            | 'Write' >> beam.MapTuple(functools.partial(user_blocks.write_block, space))
        )


class _Loading(beam.DoFn):
    """A function of elements that needs a file of the workspace, which is read once in a worker."""

    def __init__(self, space: Workspace):
        self._space = space

    def setup(self) -> None:
        """Reads the file."""
        raise NotImplementedError


class _Keep(_Loading):
    """Leaves of histories what is in the k-core."""

    def __init__(self, space: Workspace, items: str | None, k: int):
        super().__init__(space)
        self._name, self._k = items, k

    def setup(self) -> None:
        """Reads the items that are left."""
        self._items = None if self._name is None else set(self._space.lines(self._name))

    def process(self, history: History) -> Iterator[History]:
        """Gives the history if enough of it is left."""
        if left := histories.kept(history, self._items, self._k):
            yield left


class _CountTies(_Loading):
    """Counts what decides on the order of ties."""

    def __init__(self, space: Workspace, ranks: str):
        super().__init__(space)
        self._name = ranks

    def setup(self) -> None:
        """Reads the ranks of items' ids."""
        self._ranks = dict(self._space.lines(self._name))

    def process(self, history: History) -> Iterator[histories.OrderCounts]:
        """Gives the counts of one history."""
        yield histories.order_counts(history, self._ranks)


class UserRows(_Loading):
    """Gives users their rows and their events the rows of the items, in the order of time."""

    def __init__(self, space: Workspace, *, ties: str, per_second: int):
        """Reads the rows of items and users in the workspace, and what the rule for ties needs.

        Args:
          space: of the pipeline.
          ties: 'file_order', 'item_id', or 'shuffled', which needs a random rank of every event.
          per_second: ticks in a second.
        """
        super().__init__(space)
        self._ties, self._per_second = ties, per_second

    def setup(self) -> None:
        """Reads the files."""
        space = self._space
        self._item_rows = dict(space.lines('item-rows'))
        self._first, self._user_rows = space.array('first.npy'), space.array('user-rows.npy')
        self._profiles = dict(space.lines('profiles'))
        if self._ties == 'shuffled':
            self._positions, self._ranks = space.array('positions.npy'), space.array('tie-ranks.npy')

    def process(self, history: History) -> Iterator[tuple[int, UserRow]]:
        """Gives the block, and the user's row in it."""
        events = histories.in_time_order(history, self._rank)
        row = int(self._user_rows[np.searchsorted(self._first, history.events[0].position)])
        yield (
            row // user_blocks.USERS_A_BLOCK,
            UserRow(
                row,
                history.user,
                self._profiles.get(history.user, ''),
                [self._item_rows[event.item] for event in events],
                [event.ticks // self._per_second for event in events],
                [event.rating for event in events],
                [event.summary for event in events],
                [event.review for event in events],
            ),
        )

    def _rank(self, event: Event) -> int | str:
        if self._ties == 'shuffled':
            return int(self._ranks[np.searchsorted(self._positions, event.position)])
        return event.item if self._ties == 'item_id' else event.position


def _parts(pipeline: beam.Pipeline, paths: Sequence[Path]) -> beam.PCollection:
    return pipeline | beam.Create(list(enumerate(paths))) | beam.Reshuffle()


def _core(pipeline: beam.Pipeline, space: Workspace, items: str | None, k: int) -> beam.PCollection:
    read_back = ReadFromTFRecord(f'{space.path(_HISTORIES)}-*', coder=PickleCoder())
    return pipeline | 'Histories' >> read_back | 'Core' >> beam.ParDo(_Keep(space, items, k))


def _write_lines(values: beam.PCollection, space: Workspace, name: str) -> None:
    values | f'{name}AsJson' >> beam.Map(json.dumps) | f'Write{name}' >> WriteToText(space.lines_path(name))


def _once(user: str, events: Iterable[Event], has_times: bool) -> tuple[History, tuple[int, int]]:
    history, again = histories.history_of(user, events, has_times=has_times)
    return history, (len(history.events), min((event.position for event in again), default=NO_POSITION))


def _first_position(history: History) -> int:
    return history.events[0].position


def _sum_and_first(pairs: Iterable[tuple[int, int]]) -> tuple[int, int]:
    total, first = 0, NO_POSITION
    for count, place in pairs:
        total, first = total + count, min(first, place)
    return total, first


def _sums(pairs: Iterable[tuple[Any, Any]]) -> tuple[Any, Any]:
    first, second = 0, 0
    for one, other in pairs:
        first, second = first + one, second + other
    return first, second
