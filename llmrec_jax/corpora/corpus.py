"""The one schema that every corpus is brought into: items, users, events."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int


@dataclasses.dataclass(frozen=True)
class Items:
    """The catalogue, in columns; row `i` is item `i`.

    Attributes:
      item_id: the source's own id (an ASIN, a movie id).
      title: '' where the source has none.
      brand: '' where unknown.
      categories: from the root to the leaf; empty where unknown.
      description: '' where unknown.
      price: in the source's currency; NaN where unknown.
    """

    item_id: list[str]
    title: list[str]
    brand: list[str]
    categories: list[tuple[str, ...]]
    description: list[str]
    price: Float[np.ndarray, 'items']

    def __len__(self) -> int:
        return len(self.item_id)


@dataclasses.dataclass(frozen=True)
class Users:
    """The users, in columns; row `u` is user `u`.

    Attributes:
      user_id: the source's own id.
      profile: what is known of the user, in words; '' where nothing is.
    """

    user_id: list[str]
    profile: list[str]

    def __len__(self) -> int:
        return len(self.user_id)


@dataclasses.dataclass(frozen=True)
class Events:
    """Interactions, in columns, sorted by user, then time, then the corpus's stated tie rule.

    Attributes:
      user: row in `Users`.
      item: row in `Items`.
      timestamp: seconds since 1970, or a rank in the user's history where the source has no clock.
      rating: stars; NaN where unknown.
      summary: the review's headline; '' where there is none.
      review: the review's text; '' where there is none.
    """

    user: Int[np.ndarray, 'events']
    item: Int[np.ndarray, 'events']
    timestamp: Int[np.ndarray, 'events']
    rating: Float[np.ndarray, 'events']
    summary: list[str]
    review: list[str]

    def __len__(self) -> int:
        return len(self.user)


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
    """

    name: str
    items: Items
    users: Users
    events: Events
    provenance: Mapping[str, Any]

    def __post_init__(self):
        order = self.events.user
        if len(order) and (np.diff(order) < 0).any():
            raise ValueError(f'corpus {self.name!r}: events must be sorted by user')
        for column, bound in (('user', len(self.users)), ('item', len(self.items))):
            values = getattr(self.events, column)
            if len(values) and (values.min() < 0 or values.max() >= bound):
                raise ValueError(
                    f'corpus {self.name!r}: column {column!r} of the events refers to row '
                    f'{int(values.max())}, but the table has {bound} rows'
                )

    @property
    def user_offsets(self) -> Int[np.ndarray, 'users_plus_1']:
        """Events of user `u` are rows `user_offsets[u]:user_offsets[u + 1]`."""
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
