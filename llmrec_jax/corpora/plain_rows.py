"""Rows of two ids and two numbers, read by Arrow's CSV reader where they are written plainly.

Plain are digits, points, minus signs and the separator, in lines of four fields. Of such lines Arrow and
Python's own functions make the same values. Whatever else a file holds is left to the reader of lines, which
knows how to name it.
"""

import io
import zipfile
import zlib
from collections.abc import Iterator

import pyarrow as pa
from pyarrow import csv

COLUMNS = ('user', 'item', 'rating', 'timestamp')
_IDS = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(list(zip(COLUMNS, (_IDS, _IDS, pa.float32(), pa.int64()))))
BLOCK_BYTES = 32 << 20
_PLAIN = b'0123456789.-\n'


def plain_rows(stream: io.BufferedIOBase, separator: str) -> Iterator[pa.Table | None]:
    """Yields tables of `SCHEMA` with the rows of consecutive lines, and at last None if a block is not plain.

    Args:
      stream: at the beginning of a line.
      separator: what parts the fields of a line.
    """
    try:
        while block := stream.read(BLOCK_BYTES) + stream.readline():
            table = _plain_table(block, separator)
            yield table
            if table is None:
                return
    except (EOFError, OSError, zlib.error, zipfile.BadZipFile):
        yield None


def table_of(user: list[str], item: list[str], rating: list[float], timestamp: list[int]) -> pa.Table:
    """The same table of rows that were read otherwise.

    Raises:
      OverflowError: when a timestamp does not fit 64 bits.
    """
    ids = [pa.array(column, pa.string()).dictionary_encode() for column in (user, item)]
    numbers = [pa.array(rating, pa.float64()).cast(pa.float32()), pa.array(timestamp, pa.int64())]
    return pa.table([*ids, *numbers], SCHEMA)


def _plain_table(block: bytes, separator: str) -> pa.Table | None:
    if b'\r' in block and block.count(b'\r') == block.count(b'\r\n'):
        block = block.replace(b'\r\n', b'\n')
    delimiter = separator.encode()
    if len(delimiter) > 1:
        if b',' in block:
            return None
        block, delimiter = block.replace(delimiter, b','), b','
    if block.translate(None, _PLAIN + delimiter):
        return None
    try:
        table = csv.read_csv(
            io.BytesIO(block),
            csv.ReadOptions(column_names=COLUMNS),
            csv.ParseOptions(
                delimiter=delimiter.decode(), quote_char=False, double_quote=False, ignore_empty_lines=False
            ),
            csv.ConvertOptions(
                column_types={**dict(zip(COLUMNS, SCHEMA.types)), 'rating': pa.float64()},
                null_values=[],
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        return None
    # A float64 first, as Python's: what is rounded at once may be rounded otherwise.
    return table.cast(SCHEMA)
