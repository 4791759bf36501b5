"""Corpora that are published as sequences of item ids, the form of the S3-Rec and P5 data."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from llmrec_jax.corpora import citations, scraped_text, unnamed_items
from llmrec_jax.corpora.corpus import Corpus, Events, Items, Users
from llmrec_jax.corpora.listed_once import ListedOnce
from llmrec_jax.corpora.raw_events import ItemRecord, relabel
from llmrec_jax.corpora.raw_files import (
    bad_line,
    existing_file,
    file_sha256,
    is_number,
    is_whole,
    json_records,
    numbered_lines,
    well_formed,
)
from llmrec_jax.corpora.scraped_text import Scraps
from llmrec_jax.corpora.source import About, location, one_of

SEQUENCES = 'sequential.txt'
ITEMS = 'items.jsonl'
DUPLICATES = ('error', 'keep_first', 'keep')
TEXTS = ('readable', 'as_written')
_SEQUENCE_LINE = "'user item item ...', oldest first"
_ITEM_LINE = 'an object with id (an integer), asin, title, brand and categories (null where unknown)'


@dataclasses.dataclass(frozen=True)
class SequenceFiles:
    """A directory with `sequential.txt` and `items.jsonl`.

    `sequential.txt` holds one user a line: the user's id, then the ids of the items, oldest first.
    `items.jsonl` holds one item a line: `id`, `asin`, `title`, `brand`, `categories` (a list of paths, of
    which the first is taken), and, where there are any, `description` and `price`. Items without events stay
    in the catalogue. The files have no clock: an event's timestamp is its position in the history.

    Attributes:
      directory: where the two files lie.
      relabel_seed: seed of the random rows of items and users; None keeps the published order, whose ids leak
        the next item (papers: P5), for studies of that leak.
      duplicates: what to do when a history names an item twice: 'error', 'keep_first', or 'keep' for
        catalogues where people buy the same thing again.
      text: 'readable' takes tags, entities and scraps of web pages out of the items' texts (see
        `scraped_text`); 'as_written' takes texts as they come.
      items_without_text: what becomes of items that have neither title nor brand, category or description:
        'kept' leaves them so; 'dropped' takes them out with their events; 'named' gives them
        `name_without_text` as their title.
      name_without_text: that title; `{item_id}` stands for the item's public id.
    """

    directory: str = location()
    relabel_seed: int | None = 0
    duplicates: str = 'error'
    text: str = 'readable'
    items_without_text: str = unnamed_items.KEPT
    name_without_text: str = unnamed_items.NAME
    kind: ClassVar[str] = 'sequence_files'
    about: ClassVar[About] = citations.SEQUENCE_FILES

    def __post_init__(self):
        one_of('SequenceFiles.duplicates', self.duplicates, DUPLICATES)
        one_of('SequenceFiles.text', self.text, TEXTS)
        unnamed_items.checked_rule('SequenceFiles', self.items_without_text, self.name_without_text)

    @property
    def name(self) -> str:
        """'sequence_files/' and the directory's own name."""
        own_name = Path(self.directory).expanduser().resolve().name
        return f'sequence_files/{re.sub(r"[^A-Za-z0-9_.-]", "_", own_name)}'

    def input_files(self) -> Mapping[str, Path]:
        """The two files.

        Raises:
          FileNotFoundError: when one of them is missing.
        """
        directory = Path(self.directory).expanduser()
        mend = f'SequenceFiles.directory must name a directory with {SEQUENCES} and {ITEMS}.'
        return {
            SEQUENCES: existing_file(directory / SEQUENCES, f'one line a user, {_SEQUENCE_LINE}', mend),
            ITEMS: existing_file(directory / ITEMS, f'one line an item, {_ITEM_LINE}', mend),
        }

    def build(self) -> Corpus:
        """Reads both files.

        Raises:
          FileNotFoundError: when a file is missing.
          ValueError: naming file and line, when a line is malformed, a user comes twice or without items, an
            item id is not in `items.jsonl`, or a history repeats an item under `duplicates='error'`.
        """
        files = self.input_files()
        scraps = Scraps()
        items, row_of_id, repeated = _read_items(files[ITEMS], self.text, scraps)
        users, events, repeats = _read_sequences(files[SEQUENCES], row_of_id, self.duplicates)
        kept, told = self._with_text(Corpus(self.name, items, users, events, {}))
        provenance = {
            'source': self.kind,
            'files': {name: file_sha256(path) for name, path in files.items()},
            'timestamps': 'position in the history',
            'duplicates': repeats if self.duplicates == 'keep_first' else 0,
            'duplicates_rule': self.duplicates,
            'repeated_events': repeats,
            'repeated_item_lines': repeated,
            'text': self.text,
            'scraps_removed': scraps.total(),
            'scraps_by_field': {field: count for field, count in sorted(scraps.items()) if count},
            **told,
        }
        return relabel(dataclasses.replace(kept, provenance=provenance), self.relabel_seed)

    def _with_text(self, corpus: Corpus) -> tuple[Corpus, Mapping[str, Any]]:
        """Applies the rule for items without text; also gives what the provenance says of it."""
        items, events = corpus.items, corpus.events
        silent = unnamed_items.without_text(items.title, items.brand, items.categories, items.description)
        left = corpus
        if self.items_without_text == unnamed_items.NAMED:
            titles = [
                self.name_without_text.format(item_id=item_id) if empty else title
                for item_id, title, empty in zip(items.item_id, items.title, silent)
            ]
            left = dataclasses.replace(corpus, items=dataclasses.replace(items, title=titles))
        elif self.items_without_text == unnamed_items.DROPPED and silent.any():
            rows = np.flatnonzero(~silent[events.item])
            if not len(rows):
                raise ValueError(
                    f'corpus {corpus.name!r}: no item that has an event has a text; set '
                    "SequenceFiles.items_without_text to 'kept' or 'named'"
                )
            stay = np.unique(events.user[rows])
            ordered = events.take(rows)
            row_of_item = np.cumsum(~silent) - 1
            left = dataclasses.replace(
                corpus,
                items=items.take(np.flatnonzero(~silent)),
                users=corpus.users.take(stay),
                events=dataclasses.replace(
                    ordered, user=np.searchsorted(stay, ordered.user), item=row_of_item[ordered.item]
                ),
            )
        return left, unnamed_items.told(
            self.items_without_text,
            int(silent.sum()),
            len(events) - len(left.events),
            len(corpus.users) - len(left.users),
        )


def _read_items(path: Path, text: str, scraps: Scraps) -> tuple[Items, dict[str, int], int]:
    """The catalogue in the order of the published ids, each id's row, and how many lines came again.

    Two ids may have one public id, where they say the same of it: they are one item.
    """
    told = ListedOnce[ItemRecord](path, 'item', mend='every item once, or two items of two public ids')
    public: dict[int, str] = {}
    lines: dict[int, int] = {}
    for number, record in json_records(path):
        item = record.get('id')
        if not is_whole(item):
            bad_line(path, number, f"field 'id' is {item!r}", _ITEM_LINE)
        public_id = _text(path, number, record, 'asin').strip() or str(item)
        if public.setdefault(item, public_id) != public_id:
            bad_line(
                path,
                number,
                f'id {item} has been used before, on line {lines[item]}',
                'every id for one item',
            )
        lines.setdefault(item, number)
        told.add(number, public_id, _item_record(path, number, record, text, scraps))
    # Rows go by the smallest id of each item.
    order = list(dict.fromkeys(public[item] for item in sorted(public)))
    columns = [list(column) for column in zip(*(told.records[public_id] for public_id in order))]
    row = {public_id: place for place, public_id in enumerate(order)}
    items = Items(order, *columns[:4], np.asarray(columns[4], np.float32))
    return items, {str(item): row[public_id] for item, public_id in public.items()}, told.repeated


def _item_record(path: Path, number: int, record: Mapping[str, Any], text: str, scraps: Scraps) -> ItemRecord:
    price = record.get('price')
    if price is not None and not is_number(price):
        bad_line(path, number, f"field 'price' is {price!r}", 'a number or null')
    written = ItemRecord(
        title=_text(path, number, record, 'title'),
        brand=_text(path, number, record, 'brand'),
        categories=_first_path(path, number, record.get('categories')),
        description=_text(path, number, record, 'description'),
        price=float('nan') if price is None else float(price),
    )
    if text == 'as_written':
        return written
    return ItemRecord(
        title=scraped_text.line(written.title, 'title', scraps),
        brand=scraped_text.brand(written.brand, scraps),
        categories=scraped_text.path(written.categories, scraps),
        description=scraped_text.paragraphs(written.description, 'description', scraps),
        price=written.price,
    )


def _text(path: Path, number: int, record: Mapping[str, Any], field: str) -> str:
    value = record.get(field)
    if value is not None and not isinstance(value, str):
        bad_line(path, number, f'field {field!r} is {value!r}', _ITEM_LINE)
    return well_formed(value or '')


def _first_path(path: Path, number: int, categories: Any) -> tuple[str, ...]:
    paths = categories or []
    if not isinstance(paths, list) or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names) for names in paths
    ):
        bad_line(path, number, f"field 'categories' is {categories!r}", 'a list of lists of names')
    return tuple(well_formed(name) for name in paths[0]) if paths else ()


def _read_sequences(path: Path, row_of_id: Mapping[str, int], duplicates: str) -> tuple[Users, Events, int]:
    """The users in file order, their events, and how many events repeat an item of the same history."""
    seen: dict[str, int] = {}
    histories: list[list[int]] = []
    repeats = 0
    for number, line in numbered_lines(path):
        user, *history = line.split() or ['']
        if not user:
            bad_line(path, number, 'an empty line', _SEQUENCE_LINE)
        if user in seen:
            bad_line(path, number, f'user {user!r} has a history on line {seen[user]}', 'one line a user')
        if not history:
            bad_line(path, number, f'user {user!r} has an empty history', _SEQUENCE_LINE)
        seen[user] = number
        unknown = next((item for item in history if item not in row_of_id), None)
        if unknown is not None:
            bad_line(
                path, number, f'item {unknown!r} is not in {ITEMS}', f"items that are an 'id' of {ITEMS}"
            )
        # Two ids may be of one item.
        rows = [row_of_id[item] for item in history]
        once = list(dict.fromkeys(rows))
        if len(once) < len(rows):
            repeats += len(rows) - len(once)
            if duplicates == 'error':
                twice = next(item for item, row in zip(history, rows) if rows.count(row) > 1)
                bad_line(
                    path,
                    number,
                    f'user {user!r} has item {twice!r} twice',
                    "each item once a history (duplicates='keep_first' drops later ones, 'keep' keeps all)",
                )
            if duplicates == 'keep_first':
                rows = once
        histories.append(rows)
    lengths = [len(history) for history in histories]
    total = sum(lengths)
    events = Events(
        user=np.repeat(np.arange(len(histories)), lengths),
        item=np.concatenate([np.asarray(history) for history in histories]),
        timestamp=np.concatenate([np.arange(length) for length in lengths]),
        rating=np.full(total, np.nan, np.float32),
        summary=[''] * total,
        review=[''] * total,
    )
    return Users(list(seen), [''] * len(seen)), events, repeats
