"""Anyone's data: tables of interactions, of items and of users, in the forms that tables have."""

import codecs
import dataclasses
import logging
import re
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, ClassVar

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.raw_events import ItemRecord
from llmrec_jax.corpora.raw_source import RawSource, RawTables
from llmrec_jax.corpora.scraped_text import Scraps
from llmrec_jax.corpora.sequence_files import SEQUENCES, SequenceFiles
from llmrec_jax.corpora.source import location, one_of
from llmrec_jax.corpora.tables.assembly import (
    ITEM_ROLES,
    ItemColumns,
    Told,
    items_beside_events,
    items_of_events,
    items_of_table,
    users_of_table,
)
from llmrec_jax.corpora.tables.delimited import Dialect
from llmrec_jax.corpora.tables.events import ROLES, TableEvents, check_any, event_roles, read_events
from llmrec_jax.corpora.tables.parts import Part, names_of, open_part, part_paths
from llmrec_jax.corpora.tables.roles import Role, in_words, told
from llmrec_jax.corpora.tables.times import ISO, UNITS

LOG = logging.getLogger(__name__)
BAD_ROWS = ('error', 'drop')
_SUFFIXES = re.compile(
    r'(\.(csv|tsv|tab|txt|dat|data|parquet|pq|json|jsonl|ndjson|inter|item|user|gz|gzip|zst|zstd|snappy))+$'
)


@dataclasses.dataclass(frozen=True)
class OpenedTables:
    """Tables whose first lines were looked at.

    Attributes:
      parts: the files of each table.
      found: the columns of the events.
      beside: the columns of items that stand beside events, where there is no table of items.
      wanted: how items are told of.
      further: columns of the interactions that tell of items.
    """

    parts: Mapping[str, Sequence[Part]]
    found: Mapping[str, Role]
    beside: Mapping[str, Role]
    wanted: ItemColumns
    further: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Tables(RawSource):
    """Interactions, and where there are any items and users, from tables with columns of any name.

    A table is one file or a folder of parts: CSV, TSV, Parquet, JSON lines, or RecBole's atomic files, plain
    or packed by gzip or zstd; the form is read off the bytes. A folder with `.inter` files brings its `.item`
    and `.user` files along. A folder with `sequential.txt` is read by `SequenceFiles`.

    A column is named by `<role>_column`; None guesses it from the names that tables use, '' says that there
    is none. What was guessed stands in the log and in the provenance.

    Attributes:
      interactions: the table of events, a row each.
      items: the table of items; None for items that are known by their ids alone.
      users: the table of users, or None.
      corpus_name: what the corpus is called; None for the name of the file or folder of interactions.
      user_column: the user's id in the table of interactions.
      item_column: the item's id in the table of interactions.
      user_id_column: the user's id in the table of users; None for the same name, if it is there, or a guess.
      item_id_column: the item's id in the table of items, likewise.
      time_column: when it happened; without one, events are taken in the order of the file.
      rating_column: stars.
      summary_column: a review's headline.
      review_column: a review's text.
      title_column: of the items, as those that follow.
      brand_column: the maker.
      categories_column: a list from the root to the leaf, or a text that lists them.
      description_column: what else is said.
      price_column: a number, with or without the sign of a currency.
      description_fields: other columns of items that are told at the end of the description.
      profile_fields: columns of users that their profile tells; None for all.
      category_separator: what parts categories in one text; '' for nothing, None to guess.
      time_format: 's', 'ms', 'us' or 'ns' since 1970, 'iso', or a pattern of strptime such as '%d/%m/%Y';
        None to guess.
      delimiter: of delimited files; None to guess.
      quote: of delimited files; '' takes quotes as they are.
      encoding: of text files.
      header: names of the columns of interactions, where that table has no header.
      bad_rows: what becomes of an event without user, item or time, with a number that is none, or with too
        many fields: 'error', or 'drop' to leave it out and count it.
      min_rating: leave out events with fewer stars, or none.
      duplicates: of events, as in `raw_source.RawSource`, with 'keep_first' by default: repeated rows are
        counted. Two lines that contradict one another on an item or a user are an error under both.
    """

    interactions: str = location()
    items: str | None = location(None)
    users: str | None = location(None)
    corpus_name: str | None = None
    user_column: str | None = None
    item_column: str | None = None
    user_id_column: str | None = None
    item_id_column: str | None = None
    time_column: str | None = None
    rating_column: str | None = None
    summary_column: str | None = None
    review_column: str | None = None
    title_column: str | None = None
    brand_column: str | None = None
    categories_column: str | None = None
    description_column: str | None = None
    price_column: str | None = None
    description_fields: Sequence[str] = ()
    profile_fields: Sequence[str] | None = None
    category_separator: str | None = None
    time_format: str | None = None
    delimiter: str | None = None
    quote: str = '"'
    encoding: str = 'utf-8'
    header: Sequence[str] = ()
    bad_rows: str = 'error'
    min_rating: float | int | None = None
    duplicates: str = dataclasses.field(default='keep_first', kw_only=True)
    kind: ClassVar[str] = 'tables'

    def __post_init__(self):
        super().__post_init__()
        one_of('Tables.bad_rows', self.bad_rows, BAD_ROWS)
        if self.time_format is not None and '%' not in self.time_format:
            one_of('Tables.time_format', self.time_format, (*UNITS, ISO))
        for name in ('description_fields', 'profile_fields', 'header'):
            value = getattr(self, name)
            if isinstance(value, str):
                raise ValueError(f"Tables.{name} is {value!r}; expected names in a tuple, e.g. ('{value}',)")
            if value is not None:
                object.__setattr__(self, name, tuple(value))
        for name in ('delimiter', 'quote'):
            value = getattr(self, name)
            if value is not None and len(value.encode()) > 1:
                raise ValueError(f'Tables.{name} is {value!r}; expected one character')
        try:
            codecs.lookup(self.encoding)
        except LookupError as error:
            raise ValueError(
                f'Tables.encoding is {self.encoding!r}; expected an encoding of Python'
            ) from error
        if self.sequences is not None:
            self._check_sequences()

    @property
    def name(self) -> str:
        """'tables/' and the name of the interactions, unless `corpus_name` is given."""
        if self.sequences is not None:
            return self.sequences.name
        own_name = self.corpus_name or _SUFFIXES.sub('', Path(self.interactions).expanduser().resolve().name)
        return f'tables/{re.sub(r"[^A-Za-z0-9_.-]", "_", own_name)}'

    @property
    def sequences(self) -> SequenceFiles | None:
        """The source that reads the folder, where it is in the form of S3-Rec and P5."""
        folder = Path(self.interactions).expanduser()
        if not (folder / SEQUENCES).is_file():
            return None
        return SequenceFiles(self.interactions, self.relabel_seed)

    def input_files(self) -> Mapping[str, Path]:
        """The files of all tables.

        Raises:
          FileNotFoundError: when one is missing.
        """
        if self.sequences is not None:
            return self.sequences.input_files()
        return {f'{what}/{path.name}': path for what, paths in self._paths().items() for path in paths}

    def build(self) -> Corpus:
        """See `RawSource.build`."""
        return super().build() if self.sequences is None else self.sequences.build()

    def opened(self, files: Mapping[str, Path]) -> OpenedTables:
        """The tables in these files, and which of their columns are what; reads the first lines of each.

        Raises:
          ValueError: when a file is empty or damaged, or has no column that is needed.
        """
        parts: dict[str, list[Part]] = {}
        for name, path in files.items():
            what = name.partition('/')[0]
            part = self.open_interactions(path) if what == 'interactions' else open_part(path, self._dialect)
            parts.setdefault(what, []).append(part)
        interactions = parts['interactions']
        found = event_roles(interactions, self._named(ROLES))
        wanted = ItemColumns(
            self._named(ITEM_ROLES),
            (self.item_id_column, self.item_column),
            self.category_separator,
            self.description_fields,
        )
        beside = {} if 'items' in parts else items_beside_events(names_of(interactions), found, wanted)
        more = [role.column for role in beside.values() if role.column is not None]
        further = [*more, *(() if 'items' in parts else self.description_fields)]
        return OpenedTables(parts, found, beside, wanted, further)

    def read(self, files: Mapping[str, Path]) -> RawTables:
        """See `RawSource.read`."""
        tables, scraps = self.opened(files), Scraps()
        events = self.events_of(tables.parts['interactions'], tables.found, tables.further, scraps)
        path = tables.parts['interactions'][0].path
        check_any(path, len(events.raw), len(events.table), self.min_rating)
        told_times = None if events.times is None else events.times.told
        facts = self.facts(tables, events.facts, told_times)
        ticks = 1 if events.times is None else events.times.per_second
        items, profiles = self.readers(tables, events, facts, scraps)
        return RawTables(events.raw, path, items, profiles, scraps, facts, ticks)

    def open_interactions(self, path: Path) -> Part:
        """The reader of one file of the table of interactions."""
        return open_part(path, dataclasses.replace(self._dialect, header=self.header))

    @property
    def _dialect(self) -> Dialect:
        return Dialect(self.delimiter, self.quote, self.encoding, drop_bad_rows=self.bad_rows == 'drop')

    def events_of(
        self,
        parts: Sequence[Part],
        found: Mapping[str, Role],
        further: Sequence[str],
        scraps: Scraps,
        like_floats: Mapping[str, bool | None] | None = None,
    ) -> TableEvents:
        """The events of some parts of the table of interactions; see `events.read_events`."""
        return read_events(
            parts,
            found,
            more_columns=further,
            time_format=self.time_format,
            drop_bad_rows=self.bad_rows == 'drop',
            min_rating=self.min_rating,
            duplicates=self.duplicates,
            scraps=scraps,
            like_floats=like_floats,
        )

    def facts(
        self, tables: OpenedTables, counted: Mapping[str, Any], told_times: str | None
    ) -> dict[str, Any]:
        """What the provenance says of the table of interactions, which is told to the log too.

        Args:
          tables: that were opened.
          counted: how many rows were read and left out.
          told_times: the form of the times; None where the table has none.
        """
        found = tables.found
        facts = {
            **counted,
            'timestamps': told_times or 'position in the history',
            'min_rating': self.min_rating,
            'columns': {'interactions': told(found)},
        }
        names = names_of(tables.parts['interactions'])
        LOG.info('%s: interactions have %s', self.name, in_words(found, names, tables.further))
        LOG.info('%s: times are %s', self.name, facts['timestamps'])
        return facts

    def readers(
        self,
        tables: OpenedTables,
        events: TableEvents | None,
        facts: dict[str, Any],
        scraps: Scraps,
    ) -> tuple[Callable[[Set[str]], Mapping[str, ItemRecord]], Callable[[Set[str]], Mapping[str, str]]]:
        """What reads the tables of items and users, once it is known which are wanted.

        Args:
          tables: that were opened.
          events: whose rows tell of items, where there is no table of them; None where none does.
          facts: for the provenance, which are added to.
          scraps: counts what was taken out of texts.
        """
        parts, wanted = tables.parts, tables.wanted

        def heard(what: str, said: Told) -> Mapping[str, Any]:
            facts.update(said.facts)
            facts['columns'][what] = told(said.roles)
            names = names_of(parts[what]) if what in parts else ()
            fields = {'items': self.description_fields, 'users': said.facts.get('profile_fields', ())}
            LOG.info('%s: %s have %s', self.name, what, in_words(said.roles, names, fields[what]))
            return said.records

        def items(ids: Set[str]) -> Mapping[str, ItemRecord]:
            if 'items' in parts:
                return heard('items', items_of_table(parts['items'], ids, wanted, scraps))
            if events is None:
                return heard('items', Told({}, tables.beside, {}))
            return heard('items', items_of_events(events, tables.beside, ids, wanted, scraps))

        def profiles(ids: Set[str]) -> Mapping[str, str]:
            if 'users' not in parts:
                return {}
            named = (self.user_id_column, self.user_column)
            return heard('users', users_of_table(parts['users'], ids, named, self.profile_fields))

        return items, profiles

    def _named(self, roles: Sequence[str]) -> dict[str, str | None]:
        return {role: getattr(self, f'{role}_column') for role in roles}

    def _paths(self) -> dict[str, list[Path]]:
        """The files of the tables that there are, by table."""
        given = {'interactions': self.interactions, 'items': self.items, 'users': self.users}
        folder = Path(self.interactions).expanduser()
        atomic = {
            what: sorted(folder.glob(f'*.{suffix}*'))
            for what, suffix in zip(given, ('inter', 'item', 'user'))
        }
        found = {}
        for what, path in given.items():
            if atomic['interactions'] and (what == 'interactions' or path is None):
                found[what] = atomic[what]
            elif path is not None:
                found[what] = part_paths(Path(path).expanduser(), f'Tables.{what}')
        return {what: paths for what, paths in found.items() if paths}

    def _check_sequences(self) -> None:
        """Raises a ValueError that names what a folder of sequences has no use for."""
        used = {'interactions', 'relabel_seed'}
        set_in_vain = [
            field.name
            for field in dataclasses.fields(self)
            if field.name not in used and getattr(self, field.name) != field.default
        ]
        if set_in_vain:
            raise ValueError(
                f'{self.interactions} has {SEQUENCES}, for which Tables.{set_in_vain[0]} cannot be set; the '
                'settings of SequenceFiles can, with gin_configs/parts/corpora/sequence_files.gin'
            )
