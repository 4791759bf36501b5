"""One small shop's tables, written in every form that is read."""

import csv
import dataclasses
import gzip
import io
import json
import pathlib
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table: its name, RecBole's type, and its values; None where nothing is known."""

    name: str
    kind: str
    values: Sequence


Table = Sequence[Column]


def delimited(table: Table, delimiter: str = ',', typed: bool = False, ends: str = '\n') -> bytes:
    """CSV, TSV, or RecBole's atomic form."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=ends)
    writer.writerow([f'{column.name}:{column.kind}' if typed else column.name for column in table])
    parted_by = ' ' if typed else '|'
    for row in zip(*(column.values for column in table)):
        writer.writerow([_cell(value, parted_by) for value in row])
    return text.getvalue().encode()


def json_lines(table: Table) -> bytes:
    """One object a line; what is unknown is left out."""
    names = [column.name for column in table]
    rows = zip(*(column.values for column in table))
    objects = ({name: value for name, value in zip(names, row) if value is not None} for row in rows)
    return ''.join(f'{json.dumps(one)}\n' for one in objects).encode()


def parquet(table: Table) -> bytes:
    """Columns of Arrow's own types."""
    kinds = {'token': pa.string(), 'token_seq': pa.list_(pa.string()), 'float': None}
    sink = io.BytesIO()
    pq.write_table(pa.table({one.name: pa.array(one.values, kinds[one.kind]) for one in table}), sink)
    return sink.getvalue()


def zstd(content: bytes) -> bytes:
    """Packed by zstd."""
    return pa.compress(content, codec='zstd', asbytes=True)


def halves(table: Table) -> list[Table]:
    """The table in two parts."""
    middle = len(table[0].values) // 2
    return [
        [dataclasses.replace(column, values=column.values[part]) for column in table]
        for part in (slice(0, middle), slice(middle, None))
    ]


FORMS = {
    'csv': lambda table: delimited(table),
    'csv_crlf_bom': lambda table: b'\xef\xbb\xbf' + delimited(table, ends='\r\n'),
    'semicolons': lambda table: delimited(table, ';'),
    'tsv': lambda table: delimited(table, '\t'),
    'utf16': lambda table: delimited(table).decode().encode('utf-16'),
    'recbole': lambda table: delimited(table, '\t', typed=True),
    'jsonl': json_lines,
    'parquet': parquet,
    'csv_gz': lambda table: gzip.compress(delimited(table)),
    'jsonl_zst': lambda table: zstd(json_lines(table)),
}
SUFFIXES = {'tsv': 'tsv', 'recbole': 'inter', 'jsonl': 'jsonl', 'jsonl_zst': 'jsonl.zst', 'csv_gz': 'csv.gz'}


def write(folder: pathlib.Path, name: str, table: Table, form: str, in_parts: bool = False) -> str:
    """Writes a table as one file, or as a folder of two, and returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    suffix = SUFFIXES.get(form, 'csv')
    if not in_parts:
        path = folder / f'{name}.{suffix}'
        path.write_bytes(FORMS[form](table))
        return str(path)
    path = folder / name
    path.mkdir()
    (path / '_SUCCESS').write_bytes(b'')
    for number, part in enumerate(halves(table)):
        (path / f'part-{number}.{suffix}').write_bytes(FORMS[form](part))
    return str(path)


def _cell(value, parted_by: str) -> str:
    if value is None:
        return ''
    return parted_by.join(value) if isinstance(value, list) else str(value)
