"""The records of a corpus's two tables, as TFDS keeps them: one `tf.train.Example` an item or a user.

They are those that TFDS's own encoder makes of the tables' features; made a record at a time without looking
at every event, which is what millions of events need. Read back, they become columns again.
"""

from collections.abc import Callable, Iterator, Sequence
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


def item_records(corpus: Corpus, rows: Int[np.ndarray, 'items']) -> Iterator[bytes]:
    """The serialized records of the items at `rows`, in that order."""
    items = corpus.items
    for row in rows.tolist():
        yield _serialized(
            item=_whole([row]),
            item_id=_texts([items.item_id[row]]),
            title=_texts([items.title[row]]),
            brand=_texts([items.brand[row]]),
            categories=_texts(items.categories[row]),
            description=_texts([items.description[row]]),
            price=_real([float(items.price[row])]),
        )


def user_records(corpus: Corpus, rows: Int[np.ndarray, 'users']) -> Iterator[bytes]:
    """The serialized records of the users at `rows`, with their events, in that order."""
    users, events = corpus.users, corpus.events
    offsets = corpus.user_offsets
    for row in rows.tolist():
        own = slice(int(offsets[row]), int(offsets[row + 1]))
        user_id = users.user_id[row]
        yield _serialized(
            **{
                'user': _whole([row]),
                'user_id': _texts([user_id]),
                'user_hash': _whole([user_hash(user_id)]),
                'profile': _texts([users.profile[row]]),
                'events/item': _whole(events.item[own].tolist()),
                'events/timestamp': _whole(events.timestamp[own].tolist()),
                'events/rating': _real(events.rating[own].tolist()),
                'events/summary': _texts(events.summary[own]),
                'events/review': _texts(events.review[own]),
            }
        )


def _serialized(**features: tf.train.Feature) -> bytes:
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString(deterministic=True)


def _whole(values: list[int]) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _real(values: list[float]) -> tf.train.Feature:
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def _texts(texts: Sequence[str]) -> tf.train.Feature:
    if isinstance(texts, TextColumn) and texts.is_constant:
        encoded = [texts[0].encode()] * len(texts) if len(texts) else []
    else:
        encoded = [text.encode() for text in texts]
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=encoded))


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
    batches = list(dataset.map(parse, num_parallel_calls=tf.data.AUTOTUNE).as_numpy_iterator())
    joined: dict[str, Callable[[list], Any]] = {
        name: _joined_texts if dtype == tf.string else np.concatenate
        for name, dtype in {**scalars, **lists}.items()
    }
    columns = {}
    for name in list(batches[0]):
        columns[name] = joined.get(name, np.concatenate)([batch.pop(name) for batch in batches])
    return columns


def _joined_texts(parts: list[tuple[bytes, Int[np.ndarray, 'rows']]]) -> TextColumn:
    """One column of texts that come as all their bytes and the length of each."""
    rows = sum(len(lengths) for _, lengths in parts)
    if not any(text for text, _ in parts):
        return TextColumn.constant('', rows)
    offsets = np.zeros(rows + 1, np.int64)
    np.cumsum(np.concatenate([lengths for _, lengths in parts]), out=offsets[1:], dtype=np.int64)
    content = pa.py_buffer(b''.join(text for text, _ in parts))
    array = pa.LargeStringArray.from_buffers(rows, pa.py_buffer(offsets), content)
    array.validate(full=True)
    return TextColumn(array)
