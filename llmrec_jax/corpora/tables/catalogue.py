"""What tables of items and users say, by id: the records that a corpus is put together from."""

import ast
import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int

from llmrec_jax.corpora import scraped_text
from llmrec_jax.corpora.raw_events import ItemRecord
from llmrec_jax.corpora.tables import columns
from llmrec_jax.corpora.tables.parts import ReadTable
from llmrec_jax.corpora.text_column import TextColumn

# What parts categories that stand in one cell; the first of them that any cell has is taken.
SEPARATORS = ('|', '>', ';', ',')
_Record = TypeVar('_Record')


@dataclasses.dataclass(frozen=True)
class CatalogueRows:
    """Rows of a table that tell of something with an id, and those ids.

    Attributes:
      table: that they stand in.
      rows: of the table.
      ids: of what each row tells of.
    """

    table: ReadTable
    rows: Int[np.ndarray, 'records']
    ids: Sequence[str]

    def taken(self, name: str) -> pa.ChunkedArray:
        """A column at the rows."""
        return self.table.columns[name].take(pa.array(self.rows))

    def texts(self, name: str) -> list[str]:
        """A column at the rows, as texts."""
        return columns.texts(self.taken(name)).to_pylist()


def records_of(table: ReadTable, id_column: str, wanted: Set[str]) -> CatalogueRows:
    """The rows of the ids that are wanted."""
    ids = columns.ids(table.columns[id_column])
    rows = np.flatnonzero(np.append(_among(ids.values, wanted), False)[ids.codes])
    return CatalogueRows(table, rows, list(ids.column(rows)))


def first_records(
    table: ReadTable, rows: Int[np.ndarray, 'events'], ids: TextColumn, wanted: Set[str]
) -> CatalogueRows:
    """The first row of each id that is wanted, in a table that says of every event what it was about.

    Args:
      table: of events.
      rows: of the table, in ascending order.
      ids: of what each of them is about.
      wanted: the ids that are wanted.
    """
    distinct, codes = ids.encode()
    first = np.full(len(distinct), len(rows), np.int64)
    np.minimum.at(first, codes, np.arange(len(rows)))
    kept = np.flatnonzero(_among(distinct.to_arrow(), wanted))
    return CatalogueRows(table, rows[first[kept]], list(distinct.take(kept)))


def _among(values: pa.Array, wanted: Set[str]) -> Bool[np.ndarray, 'values']:
    return pc.is_in(values, pa.array(list(wanted), values.type)).to_numpy(zero_copy_only=False)


def item_records(
    found: CatalogueRows,
    roles: Mapping[str, str],
    *,
    separator: str | None,
    description_fields: Sequence[str] = (),
    scraps: scraped_text.Scraps,
) -> dict[str, ItemRecord]:
    """What is known of items.

    Args:
      found: where it stands.
      roles: the column of 'title', 'brand', 'categories', 'description' and 'price', of those that there are.
      separator: what parts categories in one text; '' for nothing, None to guess.
      description_fields: columns that are told at the end of the description, as 'colour: red'.
      scraps: counts what was taken out of texts.

    Raises:
      ValueError: naming both lines, when two say different things of one item.
    """
    nothing = [''] * len(found.rows)
    text = {role: found.texts(name) for role, name in roles.items() if role not in ('categories', 'price')}
    prices = _prices(found.taken(roles['price'])) if 'price' in roles else nothing
    paths = [()] * len(found.rows)
    if 'categories' in roles:
        paths = category_paths(found.taken(roles['categories']), separator)
    told = [found.texts(name) for name in description_fields]
    records = [
        ItemRecord(
            title=scraped_text.line(title, 'title', scraps),
            brand=scraped_text.brand(brand, scraps),
            categories=scraped_text.path(path, scraps),
            description=scraped_text.paragraphs(
                [description, _named_values(description_fields, values)], 'description', scraps
            ),
            price=scraped_text.price(price, scraps),
        )
        for path, price, title, brand, description, *values in zip(
            paths, prices, *(text.get(role, nothing) for role in ('title', 'brand', 'description')), *told
        )
    ]
    return _once(found, records, 'item', lambda record: record._asdict())


def profiles(found: CatalogueRows, fields: Sequence[str]) -> dict[str, str]:
    """What is known of users, in words: 'age: 25, city: Rome'.

    A column that is called 'profile' stands there without its name.

    Raises:
      ValueError: naming both lines, when two say different things of one user.
    """
    told = [found.texts(name) for name in fields]
    records = [_named_values(fields, values) for values in zip(*told)] if told else [''] * len(found.rows)
    return _once(found, records, 'user', lambda record: {'profile': record})


def category_paths(column: pa.ChunkedArray, separator: str | None) -> list[Sequence[str]]:
    """Categories from the root to the leaf, of lists or of texts that list them."""
    if pa.types.is_list(column.type):
        return [[name.strip() for name in path or () if name] for path in column.to_pylist()]
    written = columns.texts(column)
    if separator is None:
        separator = guessed_separator(written)
    return [_listed(text) or _split(text, separator) for text in written.to_pylist()]


def guessed_separator(written: pa.ChunkedArray) -> str:
    """The first of `SEPARATORS` that any text has that is no list of its own; '' where none has one."""
    plain = written.filter(pc.invert(pc.starts_with(written, '[')))
    found = (one for one in SEPARATORS if pc.any(pc.match_substring(plain, one)).as_py())
    return next(found, '')


def _prices(column: pa.ChunkedArray) -> list[Any]:
    """Numbers as they are, and anything else as text."""
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        return column.to_pylist()
    return columns.texts(column).to_pylist()


def _split(text: str, separator: str) -> list[str]:
    names = text.split(separator) if separator else [text]
    return [name.strip() for name in names if name.strip()]


def _listed(text: str) -> list[str] | None:
    """The entries of a list that was written as text, as pandas writes them to CSV; None where it is none."""
    if not (text.startswith('[') and text.endswith(']')):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            entries = read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(entries, list) and entries and isinstance(entries[0], list):
            entries = entries[0]
        return [str(entry).strip() for entry in entries]
    return None


def _named_values(names: Sequence[str], values: Sequence[str]) -> str:
    told = [value if name == 'profile' else f'{name}: {value}' for name, value in zip(names, values) if value]
    return ', '.join(told)


def _once(
    found: CatalogueRows,
    records: Sequence[_Record],
    what: str,
    fields: Callable[[_Record], Mapping[str, Any]],
) -> dict[str, _Record]:
    """The records by id; exact copies count once.

    Raises:
      ValueError: naming both lines, when two records of one id differ.
    """
    once = dict(zip(found.ids, records))
    if len(once) == len(records):
        return once
    first: dict[str, int] = {}
    for place, (key, record) in enumerate(zip(found.ids, records)):
        known = first.setdefault(key, place)
        other = fields(record)
        for name, value in fields(records[known]).items():
            if not _same(value, other[name]):
                where = found.table.place(int(found.rows[known]))
                found.table.fail(
                    int(found.rows[place]),
                    f'{what} {key!r} has {name} {_shown(other[name])}, and {_shown(value)} at {where}',
                    f'one {what} an id; remove one of the two, or give them ids of their own',
                )
    return once


def _same(one: Any, other: Any) -> bool:
    return one == other or (isinstance(one, float) and math.isnan(one) and math.isnan(other))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'
