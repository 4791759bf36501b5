"""JSON lines: one object a line, as columns.

Arrow reads them as long as a field is of one kind; where it is not, or a line is no object, Python goes
through the lines, and either makes texts of what it finds or names the line.
"""

import contextlib
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from llmrec_jax.corpora.raw_files import bad_line, json_line, well_formed
from llmrec_jax.corpora.tables.text_stream import TextStream


class JsonLinesTable:
    """One file of JSON lines.

    Attributes:
      path: of the file.
      names: the fields of its first lines.
      types: none: JSON says itself what is a number.
      dropped: none ever: see `DelimitedFile`.
    """

    unit = 'line'
    dropped = 0

    def __init__(self, path: Path, stream: TextStream, encoding: str):
        self.path = path
        self.types: dict[str, str] = {}
        self._encoding = encoding
        if stream.head.lstrip().startswith(b'['):
            bad_line(
                path,
                stream.first_line,
                'a JSON array',
                'one object a line, as jq --compact-output ".[]" writes it',
            )
        # Half a line may stand at the end of the head.
        self._first = stream.head[: stream.head.rfind(b'\n') + 1] or stream.head
        names: dict[str, None] = {}
        for number, line in enumerate(self._first.decode(errors='ignore').split('\n'), stream.first_line):
            if line.strip():
                names.update(dict.fromkeys(json_line(path, number, line)))
        self.names = list(names)

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Some columns; a field that a line lacks is null.

        Raises:
          ValueError: naming file and line, when a line is not one object, or a field is neither text nor a
            number nor a list of them.
        """
        table = self._at_once(columns)
        return self._one_by_one(columns) if table is None else table

    def line_of(self, record: int) -> int:
        """The line on which a record of `read` stands."""
        for found, (number, _) in enumerate(self._lines()):
            if found == record:
                return number
        raise AssertionError(f'{self.path} has no record {record}')

    def _at_once(self, columns: Sequence[str]) -> pa.Table | None:
        """The columns as Arrow reads them; None where it cannot, or might lose something."""
        try:
            first = pyarrow.json.read_json(io.BytesIO(self._first)).schema
            kinds = [
                _kept(first.field(name).type) if name in first.names else pa.string() for name in columns
            ]
        except (pa.ArrowInvalid, TypeError):
            return None
        # Whole numbers may be followed by others.
        for types in (kinds, [pa.float64() if pa.types.is_integer(kind) else kind for kind in kinds]):
            schema = pa.schema(list(zip(columns, types)))
            parse = pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior='ignore')
            block = pyarrow.json.ReadOptions(block_size=1 << 22)
            with contextlib.suppress(pa.ArrowInvalid), TextStream(self.path, self._encoding) as stream:
                table = pyarrow.json.read_json(pa.PythonFile(stream, mode='r'), block, parse)
                return table.select(list(columns)) if all(map(_is_exact, table.columns)) else None
        return None

    def _one_by_one(self, columns: Sequence[str]) -> pa.Table:
        found: dict[str, list] = {name: [] for name in columns}
        for number, line in self._lines():
            record = json_line(self.path, number, line)
            for name, values in found.items():
                values.append(self._text(number, name, record.get(name)))
        for name, values in found.items():
            if any(isinstance(value, list) for value in values):
                found[name] = [[value] if isinstance(value, str) else value for value in values]
        return pa.table({name: pa.array(values, _kind(values)) for name, values in found.items()})

    def _text(self, number: int, name: str, value: Any) -> str | list[str] | None:
        if value is None:
            return None
        if isinstance(value, list):
            # Of several paths of categories the first is taken.
            entries = value[0] if value and isinstance(value[0], list) else value
            return [self._text(number, name, entry) or '' for entry in entries]
        if isinstance(value, float) and value.is_integer():
            return str(int(value))
        if isinstance(value, dict):
            bad_line(self.path, number, f'field {name!r} is an object', 'a text, a number or a list of them')
        return well_formed(value) if isinstance(value, str) else json.dumps(value)

    def _lines(self) -> Iterator[tuple[int, str]]:
        with TextStream(self.path, self._encoding) as stream:
            for number, line in enumerate(stream.lines(), stream.first_line):
                if line.strip():
                    yield number, line


def _kept(kind: pa.DataType) -> pa.DataType:
    """The type to read a field in of which the first lines seem to have this one.

    Raises:
      TypeError: when Arrow might not give back what stands in the file.
    """
    # A title may look like a date.
    if pa.types.is_timestamp(kind) or pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_list(kind) and not pa.types.is_nested(kind.value_type):
        return pa.list_(_kept(kind.value_type))
    if any(is_kind(kind) for is_kind in (pa.types.is_string, pa.types.is_integer, pa.types.is_floating)):
        return kind
    raise TypeError(f'{kind} is read line by line')


def _is_exact(column: pa.ChunkedArray) -> bool:
    """Whether no whole number lost digits to a float."""
    if not pa.types.is_floating(column.type):
        return True
    largest = pc.max(pc.abs(column)).as_py()
    return largest is None or largest < 2**53


def _kind(values: list) -> pa.DataType:
    return pa.list_(pa.string()) if any(isinstance(value, list) for value in values) else pa.string()
