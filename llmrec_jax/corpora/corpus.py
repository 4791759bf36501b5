"""The one schema that every corpus is brought into: items, users, events."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int


def _set_columns(table: Any, dtypes: Mapping[str, type]) -> None:
    """Gives numeric columns of a frozen table their dtype and checks that all columns are equally long."""
    for name, dtype in dtypes.items():
        object.__setattr__(table, name, np.asarray(getattr(table, name), dtype))
    lengths = {field.name: len(getattr(table, field.name)) for field in dataclasses.fields(table)}
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f'{type(table).__name__}: every column must have one row a record, got lengths {lengths}'
        )


def _take(column: list | np.ndarray, rows: np.ndarray) -> list | np.ndarray:
    return column[rows] if isinstance(column, np.ndarray) else [column[row] for row in rows.tolist()]


def _take_rows(table: Any, rows: np.ndarray) -> Any:
    return type(table)(*(_take(getattr(table, field.name), rows) for field in dataclasses.fields(table)))


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
      ValueError: when the columns differ in length.
    """

    item_id: list[str]
    title: list[str]
    brand: list[str]
    categories: list[tuple[str, ...]]
    description: list[str]
    price: Float[np.ndarray, 'items']

    def __post_init__(self):
        _set_columns(self, {'price': np.float32})

    def __len__(self) -> int:
        return len(self.item_id)

    def take(self, rows: Int[np.ndarray, 'chosen']) -> 'Items':
        """The items at `rows`, in that order."""
        return _take_rows(self, rows)


@dataclasses.dataclass(frozen=True)
class Users:
    """The users, in columns; row `u` is user `u`.

    Attributes:
      user_id: the source's own id.
      profile: what is known of the user, in words; '' where nothing is.

    Raises:
      ValueError: when the columns differ in length.
    """

    user_id: list[str]
    profile: list[str]

    def __post_init__(self):
        _set_columns(self, {})

    def __len__(self) -> int:
        return len(self.user_id)

    def take(self, rows: Int[np.ndarray, 'chosen']) -> 'Users':
        """The users at `rows`, in that order."""
        return _take_rows(self, rows)


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
      ValueError: when the columns differ in length.
    """

    user: Int[np.ndarray, 'events']
    item: Int[np.ndarray, 'events']
    timestamp: Int[np.ndarray, 'events']
    rating: Float[np.ndarray, 'events']
    summary: list[str]
    review: list[str]

    def __post_init__(self):
        _set_columns(self, {'user': np.int64, 'item': np.int64, 'timestamp': np.int64, 'rating': np.float32})

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: Int[np.ndarray, 'chosen']) -> 'Events':
        """The events at `rows`, in that order."""
        return _take_rows(self, rows)


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
        order = self.events.user
        if len(order) and (np.diff(order) < 0).any():
            raise ValueError(f'corpus {self.name!r}: events must be sorted by user')
        backwards = np.flatnonzero((np.diff(order) == 0) & (np.diff(self.events.timestamp) < 0))
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
        digest = hashlib.sha256(self.name.encode())
        for table in (self.items, self.users, self.events):
            for field in dataclasses.fields(table):
                column = getattr(table, field.name)
                digest.update(field.name.encode())
                if isinstance(column, np.ndarray):
                    digest.update(np.ascontiguousarray(column).tobytes())
                else:
                    digest.update(json.dumps(column).encode())
        return digest.hexdigest()
