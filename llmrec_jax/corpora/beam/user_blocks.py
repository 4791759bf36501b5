"""Users with their events in Parquet files, a range of rows in each: the order in which a corpus is named."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io.filesystems import FileSystems

from llmrec_jax.corpora.beam.workspace import Workspace
from llmrec_jax.corpora.text_column import TextColumn

USERS_A_BLOCK = 1 << 14
_TEXTS = pa.large_list(pa.large_string())
_SCHEMA = pa.schema(
    {
        'row': pa.int64(),
        'user_id': pa.large_string(),
        'profile': pa.large_string(),
        'item': pa.large_list(pa.int64()),
        'timestamp': pa.large_list(pa.int64()),
        'rating': pa.large_list(pa.float32()),
        'summary': _TEXTS,
        'review': _TEXTS,
    }
)


class UserRow(NamedTuple):
    """A user of the corpus with the columns of the events."""

    row: int
    user_id: str
    profile: str
    item: list[int]
    timestamp: list[int]
    rating: list[float]
    summary: list[str]
    review: list[str]


def write_block(space: Workspace, block: int, users: Iterable[UserRow]) -> None:
    """Writes the users of one range; a worker that does it again writes the same file."""
    ordered = sorted(users, key=lambda user: user.row)
    columns = [pa.array(column, field.type) for column, field in zip(zip(*ordered), _SCHEMA)]
    # Beam renames nothing: a file that was cut short is written again by the retried worker.
    with FileSystems.create(space.path(f'block-{block:08d}')) as file:
        pq.write_table(pa.table(columns, _SCHEMA), pa.PythonFile(file, mode='w'))


def users_of(path: str) -> Iterator[UserRow]:
    """The users of one block."""
    with FileSystems.open(path) as file:
        table = pq.read_table(pa.BufferReader(file.read()))
    for batch in table.to_batches(max_chunksize=1024):
        yield from map(UserRow._make, zip(*(column.to_pylist() for column in batch.columns)))


def column_parts(space: Workspace, name: str) -> Iterator[TextColumn | np.ndarray]:
    """A column of all users or of all their events, block by block in the order of rows."""
    for path in space.paths('block'):
        column = _column(path, name)
        if pa.types.is_large_list(column.type):
            column = column.flatten()
        yield TextColumn(column) if pa.types.is_large_string(column.type) else column.to_numpy()


def event_users(space: Workspace) -> Iterator[np.ndarray]:
    """The row of the user of each event, block by block."""
    start = 0
    for path in space.paths('block'):
        lengths = _lengths(path)
        yield np.repeat(np.arange(start, start + len(lengths)), lengths)
        start += len(lengths)


def history_lengths(space: Workspace) -> np.ndarray:
    """How many events each user has, by row."""
    return np.concatenate([_lengths(path) for path in space.paths('block')])


def _lengths(path: str) -> np.ndarray:
    return _column(path, 'item').value_lengths().to_numpy()


def _column(path: str, name: str) -> pa.Array:
    with FileSystems.open(path) as file:
        return pq.read_table(pa.BufferReader(file.read()), columns=[name])[name].combine_chunks()
