"""A table that lies in one file or in a folder of parts, read column by column.

What kind of file a part is, is read off its first bytes: Parquet, JSON lines, or fields between delimiters.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa

from llmrec_jax.corpora.tables import columns as column_kinds
from llmrec_jax.corpora.tables.delimited import DelimitedFile, Dialect
from llmrec_jax.corpora.tables.json_lines import JsonLinesTable
from llmrec_jax.corpora.tables.parquet import MAGIC, ParquetFile
from llmrec_jax.corpora.tables.text_stream import TextStream

_DIGITS = re.compile(r'(\d+)')


@runtime_checkable
class Part(Protocol):
    """One file of a table."""

    path: Path
    unit: str
    names: list[str]
    types: dict[str, str]
    dropped: int

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Some columns."""

    def line_of(self, record: int) -> int:
        """Where a record of `read` stands, counted in `unit`."""


def part_paths(path: Path, field: str) -> list[Path]:
    """The files of a table: `path`, or the files in that folder in natural order.

    Files whose name begins with '.' or '_' are no parts; Spark marks with such that it is done.

    Args:
      path: of a file or a folder.
      field: that names it, for messages.

    Raises:
      FileNotFoundError: when there is no such file, or the folder has no file.
      ValueError: when the folder has folders.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f'{path} is missing; {field} must name a file, or a folder of parts')
    inside = [part for part in path.iterdir() if not part.name.startswith(('.', '_'))]
    if folders := sorted(part.name for part in inside if part.is_dir()):
        raise ValueError(
            f'{path} has the folder {folders[0]}; {field} must name the folder that holds the files'
        )
    if not inside:
        raise FileNotFoundError(f'{path} has no file; {field} must name a file, or a folder of parts')
    return sorted(inside, key=_natural)


def open_part(path: Path, dialect: Dialect) -> Part:
    """The reader of one file.

    Raises:
      ValueError: when the file is empty, damaged, or its first lines cannot be read.
    """
    with path.open('rb') as file:
        if file.read(len(MAGIC)) == MAGIC:
            return ParquetFile(path)
    with TextStream(path, dialect.encoding) as stream:
        is_json = stream.head.lstrip().startswith((b'{', b'['))
        return (
            JsonLinesTable(path, stream, dialect.encoding)
            if is_json
            else DelimitedFile(path, stream, dialect)
        )


@dataclasses.dataclass(frozen=True)
class ReadTable:
    """Columns of a table, and where each of its rows stands.

    Attributes:
      columns: by name, each of one of the kinds that `columns.plain` gives.
      parts: the files.
      ends: number of rows up to the end of each part.
      dropped: how many records were left out.
    """

    columns: Mapping[str, pa.ChunkedArray]
    parts: tuple[Part, ...]
    ends: np.ndarray
    dropped: int

    def __len__(self) -> int:
        return int(self.ends[-1])

    def place(self, row: int) -> str:
        """File and line of a row."""
        number = int(np.searchsorted(self.ends, row, side='right'))
        part = self.parts[number]
        first = int(self.ends[number - 1]) if number else 0
        return f'{part.path}, {part.unit} {part.line_of(row - first)}'

    def fail(self, row: int, problem: str, expected: str) -> NoReturn:
        """Raises the ValueError that names where a row stands."""
        raise ValueError(f'{self.place(row)}: {problem}; expected {expected}')

    def value(self, row: int, name: str) -> object:
        """What stands in a column."""
        return self.columns[name][row].as_py()


def names_of(parts: Sequence[Part]) -> list[str]:
    """The names of all columns, in the order in which the parts have them."""
    return list(dict.fromkeys(name for part in parts for name in part.names))


def read_parts(parts: Sequence[Part], names: Sequence[str]) -> ReadTable:
    """Reads some columns of a table.

    Raises:
      ValueError: as `Part.read`; when a column is of a kind that is no text, number, time or list, or in no
        part; and when no part has a row.
    """
    wanted = list(dict.fromkeys(names))
    read: list[pa.Table] = []
    for part in parts:
        table = part.read(wanted)
        try:
            plain = [column_kinds.plain(column) for column in table.columns]
        except TypeError as error:
            raise ValueError(f'{part.path}: {error}') from error
        read.append(pa.table(plain, wanted))
    ends = np.cumsum([len(table) for table in read])
    if not ends[-1]:
        raise ValueError(f'{parts[0].path} has a header and no rows; copy or download it again')
    columns = {name: column_kinds.joined([table[name] for table in read]) for name in wanted}
    known = set(names_of(parts))
    absent = [
        name for name, column in columns.items() if name not in known and column.null_count == len(column)
    ]
    if absent:
        raise ValueError(
            f'{parts[0].path}: no line has a field {", ".join(map(repr, absent))}; expected some of '
            f'{sorted(known)}'
        )
    return ReadTable(columns, tuple(parts), ends, sum(part.dropped for part in parts))


def _natural(path: Path) -> list[tuple[int, str]]:
    """'part-9' before 'part-10'."""
    parts = _DIGITS.split(path.name)
    return [(int(part), '') if place % 2 else (-1, part) for place, part in enumerate(parts)]
