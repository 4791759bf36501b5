"""Corpora that are published as sequences of item ids, the form of the S3-Rec and P5 data."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from llmrec_jax.corpora.clock import POSITION
from llmrec_jax.corpora.corpus import Corpus, Events, Items, Users
from llmrec_jax.corpora.raw_events import relabel
from llmrec_jax.corpora.raw_files import (
    bad_line,
    existing_file,
    file_sha256,
    json_line,
    numbered_lines,
    well_formed,
)
from llmrec_jax.corpora.source import location, one_of

SEQUENCES = 'sequential.txt'
ITEMS = 'items.jsonl'
DUPLICATES = ('error', 'keep_first', 'keep')
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
    """

    directory: str = location()
    relabel_seed: int | None = 0
    duplicates: str = 'error'

    def __post_init__(self):
        one_of('SequenceFiles.duplicates', self.duplicates, DUPLICATES)

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
        items, row_of_id = _read_items(files[ITEMS])
        users, events, repeats = _read_sequences(files[SEQUENCES], row_of_id, self.duplicates)
        provenance = {
            'source': 'sequence_files',
            'files': {name: file_sha256(path) for name, path in files.items()},
            'timestamps': POSITION,
            'duplicates': self.duplicates,
            'repeated_events': repeats,
        }
        return relabel(Corpus(self.name, items, users, events, provenance), self.relabel_seed)


def _read_items(path: Path) -> tuple[Items, dict[str, int]]:
    """The catalogue in the order of the published ids, and each id's row."""
    records: dict[int, tuple] = {}
    for number, line in numbered_lines(path):
        record = json_line(path, number, line)
        if type(record.get('id')) is not int:
            bad_line(path, number, f"field 'id' is {record.get('id')!r}", _ITEM_LINE)
        if record['id'] in records:
            bad_line(path, number, f'id {record["id"]} has been used before', 'every id once')
        records[record['id']] = _item_columns(path, number, record)
    ids = sorted(records)
    columns = [list(column) for column in zip(*(records[item_id] for item_id in ids))]
    items = Items(*columns[:5], np.asarray(columns[5], np.float32))
    return items, {str(item_id): row for row, item_id in enumerate(ids)}


def _item_columns(path: Path, number: int, record: Mapping[str, Any]) -> tuple:
    price = record.get('price')
    if price is not None and (isinstance(price, bool) or not isinstance(price, int | float)):
        bad_line(path, number, f"field 'price' is {price!r}", 'a number or null')
    return (
        _text(path, number, record, 'asin') or str(record['id']),
        _text(path, number, record, 'title'),
        _text(path, number, record, 'brand'),
        _first_path(path, number, record.get('categories')),
        _text(path, number, record, 'description'),
        float('nan') if price is None else float(price),
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
        once = list(dict.fromkeys(history))
        if len(once) < len(history):
            repeats += len(history) - len(once)
            if duplicates == 'error':
                twice = next(item for item in once if history.count(item) > 1)
                bad_line(
                    path,
                    number,
                    f'user {user!r} has item {twice!r} twice',
                    "each item once a history (duplicates='keep_first' drops later ones, 'keep' keeps all)",
                )
            if duplicates == 'keep_first':
                history = once
        histories.append([row_of_id[item] for item in history])
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
