"""A corpus from a table of events that need not fit in any memory, by jobs of Apache Beam.

The corpus is the one that `Tables.build` gives, to the last bit. The catalogue, and 12 bytes a user, lie in
the memory of this process and of each worker; where ties are shuffled, 16 bytes an event do too.
"""

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import Any

import numpy as np
from jaxtyping import Int

from llmrec_jax.corpora import id_order, unnamed_items
from llmrec_jax.corpora.beam import histories, jobs, user_blocks
from llmrec_jax.corpora.beam.reading import Agreed, Reading, agreed
from llmrec_jax.corpora.beam.workspace import Workspace
from llmrec_jax.corpora.corpus import Events, Items, Users, fingerprint
from llmrec_jax.corpora.raw_events import ItemRecord, drawn_rows, inverse, items_of, order_facts
from llmrec_jax.corpora.source import CorpusSource
from llmrec_jax.corpora.tables.events import check_any
from llmrec_jax.corpora.tables.source import OpenedTables, Tables


@dataclasses.dataclass(frozen=True)
class PipelinedCorpus:
    """A corpus whose users lie in files of the workspace.

    Attributes:
      name: as `Corpus.name`.
      items: the catalogue.
      lengths: how many events each user has.
      fingerprint: as `Corpus.fingerprint`.
      provenance: as `Corpus.provenance`.
    """

    name: str
    items: Items
    lengths: Int[np.ndarray, 'users']
    fingerprint: str
    provenance: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class _Core:
    """What the k-core leaves.

    Attributes:
      name: under which its items lie in the workspace.
      items: their ids.
      events: how many there are.
      users: likewise.
    """

    name: str
    items: list[str]
    events: int
    users: int


def pipelined_corpus(source: CorpusSource, space: Workspace, pipelines: jobs.Pipelines) -> PipelinedCorpus:
    """Makes the corpus of a source.

    Args:
      source: `Tables`, with files that every worker finds under the paths that it names.
      space: an empty folder.
      pipelines: makes a pipeline with the runner's options.

    Raises:
      FileNotFoundError, ValueError: as `Tables.build`; and a ValueError that names what needs the in-memory
        road.
    """
    if not isinstance(source, Tables) or source.sequences is not None:
        raise ValueError(
            f'{source.name}: the pipeline reads tables of events, and this source is none; leave out '
            '--beam_pipeline_options, or read its files by llmrec_tables'
        )
    files = source.input_files()
    opened = source.opened(files)
    if opened.further:
        role = next((role for role, one in opened.beside.items() if one.column == opened.further[0]), None)
        mend = f"Tables.{role}_column = ''" if role else 'Tables.description_fields = ()'
        raise ValueError(
            f'{source.name}: the pipeline reads of items in a table of their own (Tables.items), and column '
            f'{opened.further[0]!r} of the interactions tells of them; {mend} leaves it out'
        )
    return _Road(source, space, pipelines, opened).corpus(files)


class _Road:
    def __init__(
        self, source: Tables, space: Workspace, pipelines: jobs.Pipelines, opened: OpenedTables
    ) -> None:
        self._source, self._space, self._pipelines, self._opened = source, space, pipelines, opened

    def corpus(self, files: Mapping[str, Any]) -> PipelinedCorpus:
        source, space = self._source, self._space
        parts = self._opened.parts['interactions']
        seen = self._read()
        check_any(parts[0].path, seen.events, seen.rows, source.min_rating)
        once, again = _only(space.lines('once'))
        if source.duplicates == 'error' and again != jobs.NO_POSITION:
            self._refuse(again)
        facts = source.facts(self._opened, seen.facts, seen.told_times)
        read_items, read_profiles = source.readers(self._opened, None, facts, seen.scraps)
        catalogue, core, told = self._with_text(self._core(None, once), read_items)
        ties = self._ties(core)
        items = self._rows(core, catalogue)
        known = 'users' in self._opened.parts
        profiles = read_profiles(set(space.lines('user-ids'))) if known else {}
        self._write_users(core, ties, seen.reading.per_second or 1, profiles)
        provenance = {
            **source.provenance(files, facts, seen.scraps, seen.events, once, told),
            **ties,
            'relabel_seed': source.relabel_seed,
        }
        return PipelinedCorpus(
            source.name,
            items,
            user_blocks.history_lengths(space),
            fingerprint(source.name, _columns(items, space)),
            json.loads(json.dumps(provenance)),
        )

    def _read(self) -> Agreed:
        paths = [part.path for part in self._opened.parts['interactions']]
        reading = Reading(self._source, self._opened.found)
        jobs.look(self._pipelines, self._space, reading, paths)
        seen = agreed(reading, paths, list(self._space.lines('seen')))
        jobs.read(self._pipelines, self._space, seen.reading, paths)
        return seen

    def _refuse(self, position: int) -> None:
        """Raises the ValueError that names the event that comes again."""
        number, row = histories.place(position)
        part = self._opened.parts['interactions'][number]
        raise ValueError(
            f'{part.path}, {part.unit} {part.line_of(row)}: user, item and time are those of an earlier '
            'event; expected each event once (Tables.duplicates = "keep_first" drops the later ones)'
        )

    def _core(self, items: str | None, events: int) -> _Core:
        """The k-core of the events with these items, whose ids lie in the workspace; of all under None."""
        source, space, k = self._source, self._space, self._source.k_core
        before = None
        for number in itertools.count():
            name = f'{items or "core"}-{number}'
            jobs.core_round(self._pipelines, space, items, k, name)
            left = list(space.lines(name))
            kept, users = _only(space.lines(f'{name}-totals'))
            if not left:
                raise ValueError(
                    f'corpus {source.name!r}: the {k}-core of its {events} events is empty; set a smaller '
                    'k_core'
                )
            # The first round proves nothing: an item that it leaves no event of is not told.
            if k <= 1 or len(left) == before:
                return _Core(name, left, kept, users)
            items, before = name, len(left)
        raise AssertionError('unreachable')

    def _with_text(
        self, core: _Core, read_items: Callable[[Set[str]], Mapping[str, ItemRecord]]
    ) -> tuple[Mapping[str, ItemRecord], _Core, Mapping[str, Any]]:
        """Applies the rule for items without text; also gives what the provenance says of it."""
        source, left = self._source, core
        catalogue, silent = source.named_items(core.items, read_items(set(core.items)))
        if source.items_without_text == unnamed_items.DROPPED and silent.any():
            self._space.save_lines('told', (core.items[row] for row in np.flatnonzero(~silent)))
            left = self._core('told', core.events)
        told = unnamed_items.told(
            source.items_without_text, int(silent.sum()), core.events - left.events, core.users - left.users
        )
        return catalogue, left, told

    def _ties(self, core: _Core) -> dict[str, Any]:
        """Looks how ties are listed, and where users and items come first; tells the rule for ties."""
        source = self._source
        ranks = zip(*(order.tolist() for order in id_order.ranks(core.items)))
        self._space.save_lines('id-ranks', zip(core.items, ranks))
        jobs.order(
            self._pipelines,
            self._space,
            core.name,
            source.k_core,
            'id-ranks',
            user_ids='users' in self._opened.parts,
            positions=source.ties != 'item_id',
        )
        counts = histories.OrderCounts.from_json(_only(self._space.lines('ties')))
        by_id = source.ties == 'file_order' and counts.follow_ids
        return order_facts(source.ties, source.tie_seed, by_id, counts.tied / core.events)

    def _rows(self, core: _Core, catalogue: Mapping[str, ItemRecord]) -> Items:
        """Leaves the rows of items and users in the workspace; gives the table of items."""
        space = self._space
        first_item = dict(space.lines('first-items'))
        item_ids = sorted(core.items, key=first_item.__getitem__)
        first_user = np.sort(np.fromiter(space.lines('first-users'), np.int64))
        item_order, user_order = drawn_rows(len(item_ids), len(first_user), self._source.relabel_seed)
        space.save_lines('item-rows', zip(item_ids, inverse(item_order).tolist()))
        space.save_array('first.npy', first_user)
        space.save_array('user-rows.npy', inverse(user_order))
        return items_of(item_ids, catalogue).take(item_order)

    def _write_users(
        self, core: _Core, ties: Mapping[str, Any], per_second: int, profiles: Mapping[str, str]
    ) -> None:
        space = self._space
        if ties['ties'] == 'shuffled':
            positions = np.sort(np.fromiter(space.lines('positions'), np.int64))
            space.save_array('positions.npy', positions)
            ranks = np.random.default_rng(ties['tie_seed']).permutation(len(positions))
            space.save_array('tie-ranks.npy', ranks)
        space.save_lines('profiles', profiles.items())
        rule = jobs.UserRows(space, ties=ties['ties'], per_second=per_second)
        jobs.users(self._pipelines, space, core.name, self._source.k_core, rule)


def _only(values: Iterable[Any]) -> Any:
    (value,) = values
    return value


def _columns(items: Items, space: Workspace) -> Iterator[tuple[str, Iterable[Any]]]:
    """The columns of the corpus, in parts, as `Corpus.fingerprint` goes through them."""
    for field in dataclasses.fields(Items):
        yield field.name, [getattr(items, field.name)]
    for field in dataclasses.fields(Users):
        yield field.name, user_blocks.column_parts(space, field.name)
    yield 'user', user_blocks.event_users(space)
    for field in dataclasses.fields(Events)[1:]:
        yield field.name, user_blocks.column_parts(space, field.name)
