"""The one schema that every corpus is brought into: items, users, events."""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.corpora.text_column import CHUNK, TextColumn


def _set_columns(table: Any, texts: Sequence[str], dtypes: Mapping[str, type]) -> None:
    """Gives the columns of a frozen table their form, and checks that they are equally long.

    Texts become columns of texts, whatever sequence was given; numbers become arrays of their dtype, which
    are read-only, because what is made from a corpus names it by its content.
    """
    for name in texts:
        try:
            object.__setattr__(table, name, TextColumn.of(getattr(table, name)))
        except ValueError as error:
            raise ValueError(f'{type(table).__name__}.{name}: {error}') from error
    for name, dtype in dtypes.items():
        column = np.asarray(getattr(table, name), dtype).view()
        column.flags.writeable = False
        object.__setattr__(table, name, column)
    lengths = {field.name: len(getattr(table, field.name)) for field in dataclasses.fields(table)}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f'{type(table).__name__}: every column must have one row a record, got lengths {lengths}'
        )


def _check_ids(table: Any, name: str, mend: str) -> None:
    """Checks that an id stands for one row: what is told by its id would else be another than it."""
    ids = getattr(table, name)
    distinct, codes = ids.encode()
    if len(distinct) == len(ids):
        return
    first = np.unique(codes, return_index=True)[1]
    again = int(np.flatnonzero(first[codes] != np.arange(len(ids)))[0])
    both = f'rows {int(first[codes[again]])} and {again} are both {ids[again]!r}'
    raise ValueError(f'{type(table).__name__}.{name}: {both}; {mend}')


def take_rows(table: Any, rows: Int[np.ndarray, 'chosen']) -> Any:
    """A table of columns, such as `Items`, with the rows at `rows` in that order."""
    return type(table)(*(_take(getattr(table, field.name), rows) for field in dataclasses.fields(table)))


def _take(column: Any, rows: np.ndarray) -> Any:
    if isinstance(column, TextColumn):
        return column.take(rows)
    return column[rows] if isinstance(column, np.ndarray) else [column[row] for row in rows.tolist()]


@dataclasses.dataclass(frozen=True)
class Items:
    """The catalogue, in columns; row `i` is item `i`.

    Attributes:
      item_id: the source's own id (an ASIN, a movie id).
      title: '' where the source has none.
      brand: '' where unknown.
      categories: from the root to the leaf; empty where unknown.
      description: '' where unknown.
      price: in the source's currency, as float32; NaN where unknown.

    Raises:
      ValueError: when the columns differ in length, a row of a text is none, or two rows have one id.
    """

    item_id: Sequence[str]
    title: Sequence[str]
    brand: Sequence[str]
    categories: list[tuple[str, ...]]
    description: Sequence[str]
    price: Float[np.ndarray, 'items']

    def __post_init__(self):
        _set_columns(self, ('item_id', 'title', 'brand', 'description'), {'price': np.float32})
        _check_ids(self, 'item_id', 'give each item one row, to which all its events refer')

    def __len__(self) -> int:
        return len(self.item_id)

    def take(self, rows: Int[np.ndarray, 'chosen']) -> 'Items':
        """The items at `rows`, in that order."""
        return take_rows(self, rows)


@dataclasses.dataclass(frozen=True)
class Users:
    """The users, in columns; row `u` is user `u`.

    Attributes:
      user_id: the source's own id.
      profile: what is known of the user, in words; '' where nothing is.

    Raises:
      ValueError: when the columns differ in length, a row of a text is none, or two rows have one id.
    """

    user_id: Sequence[str]
    profile: Sequence[str]

    def __post_init__(self):
        _set_columns(self, ('user_id', 'profile'), {})
        _check_ids(self, 'user_id', 'give each user one row, with all of the events')

    def __len__(self) -> int:
        return len(self.user_id)

    def take(self, rows: Int[np.ndarray, 'chosen']) -> 'Users':
        """The users at `rows`, in that order."""
        return take_rows(self, rows)


@dataclasses.dataclass(frozen=True)
class Events:
    """Interactions, in columns, sorted by user, then time, then the corpus's stated tie rule.

    Attributes:
      user: row in `Users`, as int64.
      item: row in `Items`, as int64.
      timestamp: seconds since 1970, or a rank in the user's history where the source has no clock; int64.
      rating: stars, as float32; NaN where unknown.
      summary: the review's headline; '' where there is none.
      review: the review's text; '' where there is none.

    Raises:
      ValueError: when the columns differ in length, or a row of a text is none.
    """

    user: Int[np.ndarray, 'events']
    item: Int[np.ndarray, 'events']
    timestamp: Int[np.ndarray, 'events']
    rating: Float[np.ndarray, 'events']
    summary: Sequence[str]
    review: Sequence[str]

    def __post_init__(self):
        numbers = {'user': np.int64, 'item': np.int64, 'timestamp': np.int64, 'rating': np.float32}
        _set_columns(self, ('summary', 'review'), numbers)

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: Int[np.ndarray, 'chosen']) -> 'Events':
        """The events at `rows`, in that order."""
        return take_rows(self, rows)


@dataclasses.dataclass(frozen=True)
class Corpus:
    """A whole corpus in memory.

    Attributes:
      name: e.g. 'simulated_shop/quickstart'.
      items: the catalogue.
      users: the users; each has at least one event.
      events: the interactions.
      provenance: how it was made, as JSON-able values: source files with their sha256, seeds, the k-core, the
        tie rule, whether ids were relabelled.

    Raises:
      ValueError: when the events are not sorted by user and then time, or refer to a row that is not
        there; and when the provenance is not JSON.
    """

    name: str
    items: Items
    users: Users
    events: Events
    provenance: Mapping[str, Any]

    def __post_init__(self):
        try:
            object.__setattr__(self, 'provenance', json.loads(json.dumps(dict(self.provenance))))
        except TypeError as error:
            raise ValueError(f'corpus {self.name!r}: the provenance is not JSON ({error})') from error
        user, timestamp = self.events.user, self.events.timestamp
        if (user[1:] < user[:-1]).any():
            raise ValueError(f'corpus {self.name!r}: events must be sorted by user')
        backwards = np.flatnonzero((user[1:] == user[:-1]) & (timestamp[1:] < timestamp[:-1]))
        if len(backwards):
            raise ValueError(
                f'corpus {self.name!r}: events must be sorted by time within each user, '
                f'but event {int(backwards[0]) + 1} is older than the one before it'
            )
        for column, bound in (('user', len(self.users)), ('item', len(self.items))):
            values = getattr(self.events, column)
            if len(values) and (values.min() < 0 or values.max() >= bound):
                outside = int(values.min()) if values.min() < 0 else int(values.max())
                raise ValueError(
                    f'corpus {self.name!r}: column {column!r} of the events refers to row {outside}, '
                    f'but the table has {bound} rows'
                )

    @property
    def user_offsets(self) -> Int[np.ndarray, 'users_plus_1']:
        """Events of user `u` are the rows from `user_offsets[u]` to before `user_offsets[u + 1]`."""
        counts = np.bincount(self.events.user, minlength=len(self.users))
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def fingerprint(self) -> str:
        """sha256 over every column, so that whatever was made from a corpus can name it."""
        return self._sha256

    @functools.cached_property
    def _sha256(self) -> str:
        return fingerprint(
            self.name,
            (
                (field.name, [getattr(table, field.name)])
                for table in (self.items, self.users, self.events)
                for field in dataclasses.fields(table)
            ),
        )


def fingerprint(name: str, columns: Iterable[tuple[str, Iterable[Any]]]) -> str:
    """sha256 over a corpus.

    Args:
      name: of the corpus.
      columns: of items, users and events, by name; each in parts that stand one after the other.
    """
    digest = hashlib.sha256(name.encode())
    for column, parts in columns:
        digest.update(column.encode())
        for content in _content(parts):
            digest.update(content)
    return digest.hexdigest()


def _content(parts: Iterable[Any]) -> Iterator[bytes | np.ndarray]:
    """The bytes of a column: an array's own, and of others the JSON of the list of all rows."""
    before, is_list = b'[', False
    for part in parts:
        if isinstance(part, np.ndarray):
            yield np.ascontiguousarray(part)
            continue
        is_list = True
        for content in _listed(part):
            yield before + content
            before = b', '
    if is_list:
        yield b']' if before == b', ' else b'[]'


def _listed(column: Any) -> Iterator[bytes]:
    """The rows of a part of a column as JSON, without the brackets of the list."""
    rows, known = len(column), ''
    for start in range(0, rows, CHUNK):
        stop = min(start + CHUNK, rows)
        if not (known and stop - start == CHUNK and isinstance(column, TextColumn) and column.is_constant):
            known = json.dumps(list(column[start:stop]))[1:-1]
        yield known.encode()
