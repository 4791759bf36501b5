"""The records of a corpus's two tables, as TFDS keeps them: one `tf.train.Example` an item or a user.

They are those that TFDS's own encoder makes of the tables' features; made a record at a time without looking
at every event, which is what millions of events need. Read back, they become columns again.
"""

import collections
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from jaxtyping import Int

from llmrec_jax.corpora.corpus import Corpus, Events, Items, Users
from llmrec_jax.corpora.event_rows import runs
from llmrec_jax.corpora.splits import user_hash
from llmrec_jax.corpora.text_column import TextColumn

_RECORDS_AT_ONCE = 1024
_TEXT, _WHOLE, _REAL = tf.string, tf.int64, tf.float32
# What a record holds one of, and what it holds a list of.
ITEM_SCALARS = {
    'item': _WHOLE, 'item_id': _TEXT, 'title': _TEXT, 'brand': _TEXT, 'description': _TEXT, 'price': _REAL,
}  # fmt: skip
ITEM_LISTS = {'categories': _TEXT}
USER_SCALARS = {'user': _WHOLE, 'user_id': _TEXT, 'user_hash': _WHOLE, 'profile': _TEXT}
USER_LISTS = {
    'events/item': _WHOLE, 'events/timestamp': _WHOLE, 'events/rating': _REAL,
    'events/summary': _TEXT, 'events/review': _TEXT,
}  # fmt: skip


def item_records(catalogue: Items, rows: Int[np.ndarray, 'items']) -> Iterator[bytes]:
    """The serialized records of the items at `rows`, in that order."""
    for start in range(0, len(rows), _RECORDS_AT_ONCE):
        part = rows[start : start + _RECORDS_AT_ONCE]
        items = catalogue.take(part)
        texts = zip(items.item_id, items.title, items.brand, items.description)
        for row, price, path, (item_id, title, brand, description) in zip(
            part.tolist(), items.price.tolist(), items.categories, texts
        ):
            yield _serialized(
                whole={'item': [row]},
                real={'price': [price]},
                texts={
                    'item_id': [item_id],
                    'title': [title],
                    'brand': [brand],
                    'description': [description],
                    'categories': path,
                },
            )


def user_records(corpus: Corpus, rows: Int[np.ndarray, 'users']) -> Iterator[bytes]:
    """The serialized records of the users at `rows`, with their events, in that order."""
    events, offsets = corpus.events, corpus.user_offsets
    for start in range(0, len(rows), _RECORDS_AT_ONCE):
        part = rows[start : start + _RECORDS_AT_ONCE]
        users = corpus.users.take(part)
        for row, user_id, profile in zip(part.tolist(), users.user_id, users.profile):
            own = slice(int(offsets[row]), int(offsets[row + 1]))
            yield user_record(
                row,
                user_id,
                profile,
                events.item[own].tolist(),
                events.timestamp[own].tolist(),
                events.rating[own].tolist(),
                events.summary[own],
                events.review[own],
            )


def user_record(
    row: int,
    user_id: str,
    profile: str,
    item: list[int],
    timestamp: list[int],
    rating: list[float],
    summary: Sequence[str],
    review: Sequence[str],
) -> bytes:
    """The serialized record of one user, with the columns of the events."""
    return _serialized(
        whole={
            'user': [row],
            'user_hash': [user_hash(user_id)],
            'events/item': item,
            'events/timestamp': timestamp,
        },
        real={'events/rating': rating},
        texts={
            'user_id': [user_id],
            'profile': [profile],
            'events/summary': summary,
            'events/review': review,
        },
    )


def _serialized(
    whole: Mapping[str, list[int]], real: Mapping[str, list[float]], texts: Mapping[str, Sequence[str]]
) -> bytes:
    example = tf.train.Example()
    # Filled in place: a list that is made first would be copied twice on its way.
    feature = example.features.feature
    for name, values in whole.items():
        feature[name].int64_list.value.extend(values)
    for name, values in real.items():
        feature[name].float_list.value.extend(values)
    for name, values in texts.items():
        shared = isinstance(values, TextColumn) and values.is_constant and len(values)
        encoded = [values[0].encode()] * len(values) if shared else [text.encode() for text in values]
        feature[name].bytes_list.value.extend(encoded)
        # A list of nothing is a list still.
        feature[name].bytes_list.SetInParent()
    return example.SerializeToString(deterministic=True)


def read_items(paths: Sequence[str]) -> Items:
    """The table of the items in these files, by row."""
    columns = _columns(paths, ITEM_SCALARS, ITEM_LISTS)
    order = np.argsort(columns['item'])
    lengths = columns['categories/lengths']
    ends = np.cumsum(lengths)
    names = list(columns['categories'])
    paths_of = [tuple(names[end - length : end]) for end, length in zip(ends.tolist(), lengths.tolist())]
    return Items(
        *(columns[name] for name in ('item_id', 'title', 'brand')),
        paths_of,
        columns['description'],
        columns['price'],
    ).take(order)


def read_users(paths: Sequence[str]) -> tuple[Users, Events]:
    """The tables of the users in these files, by row, and of their events."""
    columns = _columns(paths, USER_SCALARS, USER_LISTS)
    order = np.argsort(columns['user'])
    lengths = columns['events/item/lengths']
    rows = runs((np.cumsum(lengths) - lengths)[order], lengths[order])
    taken = {}
    for name in ('item', 'timestamp', 'rating', 'summary', 'review'):
        # Taken out one by one, so that no more than one column is in memory twice.
        column = columns.pop(f'events/{name}')
        taken[name] = column.take(rows) if isinstance(column, TextColumn) else column[rows]
    user = np.repeat(columns['user'][order], lengths[order])
    users = Users(columns['user_id'], columns['profile']).take(order)
    return users, Events(user=user, **taken)


def _columns(paths: Sequence[str], scalars: dict[str, Any], lists: dict[str, Any]) -> dict[str, Any]:
    """Columns in the order of the records; of lists all values, and '<name>/lengths'."""
    features = {
        **{name: tf.io.FixedLenFeature([], dtype) for name, dtype in scalars.items()},
        **{name: tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64) for name, dtype in lists.items()},
    }

    def parse(serialized):
        parsed = tf.io.parse_example(serialized, features)
        flat = {}
        for name, column in parsed.items():
            if name in lists:
                flat[f'{name}/lengths'] = column.row_lengths()
                column = column.flat_values
            # Joined, because each text by itself would become a Python object.
            flat[name] = (
                (tf.strings.reduce_join(column), tf.strings.length(column))
                if column.dtype == tf.string
                else column
            )
        return flat

    dataset = tf.data.TFRecordDataset(list(paths)).batch(_RECORDS_AT_ONCE)
    parts: dict[str, list] = collections.defaultdict(list)
    for batch in dataset.map(parse, num_parallel_calls=tf.data.AUTOTUNE).as_numpy_iterator():
        for name, part in batch.items():
            parts[name].append(_text_part(*part) if isinstance(part, tuple) else part)
    # Taken out one by one, so that no more than one column is in memory twice.
    return {name: _joined(parts.pop(name)) for name in list(parts)}


def _text_part(content: bytes, lengths: Int[np.ndarray, 'rows']) -> TextColumn:
    """A column of texts that come as all their bytes and the length of each."""
    if not content:
        return TextColumn.constant('', len(lengths))
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    buffers = [pa.py_buffer(offsets), pa.py_buffer(content)]
    array = pa.LargeStringArray.from_buffers(len(lengths), *buffers)
    array.validate(full=True)
    return TextColumn(array)


def _joined(parts: list) -> Any:
    if not isinstance(parts[0], TextColumn):
        return np.concatenate(parts)
    if all(part.is_constant for part in parts):
        return TextColumn.constant('', sum(map(len, parts)))
    return TextColumn(pa.concat_arrays([part.to_arrow() for part in parts]))
