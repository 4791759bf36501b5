"""From interactions as a file lists them to a corpus: duplicates, the k-core, the order in time, the rows.

Items and users get random rows, so that an index says nothing about when or where it first appeared.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from llmrec_jax.corpora.corpus import Corpus, Events, Items, Users
from llmrec_jax.corpora.id_order import follows_ids, tied_neighbours, tied_share
from llmrec_jax.corpora.raw_files import bad_line


def k_core(
    user: Int[np.ndarray, 'events'], item: Int[np.ndarray, 'events'], k: int
) -> Bool[np.ndarray, 'events']:
    """Which events are in the k-core, the largest set in which users and items have at least k events each.

    Users and items with fewer events are dropped until none is left; the order of dropping does not matter.
    Two events of one user with one item count twice.
    """
    kept = np.ones(len(user), bool)
    if not len(user):
        return kept
    users, items = int(user.max()) + 1, int(item.max()) + 1
    while True:
        enough = (np.bincount(user[kept], minlength=users)[user] >= k) & (
            np.bincount(item[kept], minlength=items)[item] >= k
        )
        if (kept <= enough).all():
            return kept
        kept &= enough


# Amazon's times have the resolution of a day, so a good part of the neighbours in a history are ties.
# `assemble` tells what becomes of a file that lists ties by the ids of their items.
TIES = ('file_order', 'item_id', 'shuffled')


def time_order(
    user: Int[np.ndarray, 'events'],
    timestamp: Int[np.ndarray, 'events'],
    item_id: list[str],
    ties: str,
    seed: int,
) -> Int[np.ndarray, 'events']:
    """The rows sorted by user, then time, then the tie rule.

    Args:
      user: the user of each event.
      timestamp: its time.
      item_id: the source's id of its item.
      ties: 'file_order' leaves ties as they come (a stable sort, as S3-Rec and P5 do); 'item_id' sorts them
        by the source's id; 'shuffled' puts them in a random order.
      seed: of the shuffle; the other rules do not use it.
    """
    rank = {
        'file_order': lambda: np.arange(len(user)),
        'item_id': lambda: np.unique(np.asarray(item_id, dtype=object), return_inverse=True)[1],
        'shuffled': lambda: np.random.default_rng(seed).permutation(len(user)),
    }[ties]()
    return np.lexsort((rank, timestamp, user))


def relabel(corpus: Corpus, seed: int | None) -> Corpus:
    """Moves every item and every user to a random row; each user's sequence of items stays as it was.

    Published ids that follow the order of first appearance leak: the next item is often the largest id seen
    so far plus one, test items included (the P5 leak).

    Args:
      corpus: with rows in any order.
      seed: of the permutations, kept in the provenance as `relabel_seed`; None keeps the rows as they are.
    """
    provenance = {**corpus.provenance, 'relabel_seed': seed}
    if seed is None:
        return dataclasses.replace(corpus, provenance=provenance)
    rng = np.random.default_rng(seed)
    item_order = rng.permutation(len(corpus.items))
    user_order = rng.permutation(len(corpus.users))
    new_item, new_user = np.argsort(item_order), np.argsort(user_order)
    user = new_user[corpus.events.user]
    rows = np.argsort(user, kind='stable')
    moved = corpus.events.take(rows)
    return Corpus(
        name=corpus.name,
        items=corpus.items.take(item_order),
        users=corpus.users.take(user_order),
        events=Events(
            user[rows], new_item[moved.item], moved.timestamp, moved.rating, moved.summary, moved.review
        ),
        provenance=provenance,
    )


DUPLICATES = ('error', 'keep_first')


class ItemRecord(NamedTuple):
    """What is known of one item: the columns of `Items` without the id."""

    title: str = ''
    brand: str = ''
    categories: tuple[str, ...] = ()
    description: str = ''
    price: float = float('nan')


@dataclasses.dataclass(frozen=True)
class RawEvents:
    """Interactions in the order of their file, in columns.

    Attributes:
      line: the line of the file that each event stands on.
      user_id: the source's own id of the user.
      item_id: the source's own id of the item.
      timestamp: seconds since 1970.
      rating: stars.
      summary: the review's headline, '' where there is none.
      review: the review's text, '' where there is none.
    """

    line: Int[np.ndarray, 'events']
    user_id: list[str]
    item_id: list[str]
    timestamp: Int[np.ndarray, 'events']
    rating: Float[np.ndarray, 'events']
    summary: list[str]
    review: list[str]

    def __len__(self) -> int:
        return len(self.line)

    def take(self, rows: Int[np.ndarray, 'chosen']) -> 'RawEvents':
        """The events at `rows`, in that order."""
        chosen = rows.tolist()
        return RawEvents(
            *(
                column[rows] if isinstance(column, np.ndarray) else [column[row] for row in chosen]
                for column in (getattr(self, field.name) for field in dataclasses.fields(self))
            )
        )


def without_duplicates(raw: RawEvents, path: Path, duplicates: str) -> RawEvents:
    """`raw` with each combination of user, item and time once.

    Args:
      raw: the events of one file.
      path: that file.
      duplicates: 'keep_first' keeps the first of its kind in the file; 'error' takes none.

    Raises:
      ValueError: under 'error', naming file and line of the first event that comes again.
    """
    first: dict[tuple, int] = {}
    kept = []
    for row, key in enumerate(zip(raw.user_id, raw.item_id, raw.timestamp.tolist())):
        if first.setdefault(key, row) == row:
            kept.append(row)
        elif duplicates == 'error':
            bad_line(
                path,
                int(raw.line[row]),
                f'user {key[0]!r}, item {key[1]!r}, time {key[2]} is on line {raw.line[first[key]]} already',
                "each event once (duplicates='keep_first' drops the later ones)",
            )
    return raw.take(np.asarray(kept, np.int64))


def core_events(raw: RawEvents, k: int, name: str) -> RawEvents:
    """The events of the k-core (see `k_core`).

    Raises:
      ValueError: when nothing is left.
    """
    kept = np.flatnonzero(k_core(_first_appearance(raw.user_id)[1], _first_appearance(raw.item_id)[1], k))
    if not len(kept):
        raise ValueError(
            f'corpus {name!r}: the {k}-core of its {len(raw)} events is empty; set a smaller k_core'
        )
    return raw.take(kept)


def assemble(
    name: str,
    raw: RawEvents,
    catalogue: Mapping[str, ItemRecord],
    profiles: Mapping[str, str],
    *,
    ties: str,
    tie_seed: int,
    relabel_seed: int | None,
    provenance: Mapping[str, Any],
) -> Corpus:
    """The corpus of the items and users that have events.

    Args:
      name: of the corpus.
      raw: its events, in file order.
      catalogue: item id -> what is known of it; items that are absent have no text.
      profiles: user id -> what is known of the user, in words.
      ties: see `time_order`. Under 'file_order' a file that lists ties by the ids of their items (see
        `id_order.follows_ids`) has them shuffled: a model would learn that order. 'item_id' asks for it.
      tie_seed: see `time_order`; the provenance tells it where ties were shuffled.
      relabel_seed: see `relabel`; under None, rows follow the first appearance in the file.
      provenance: what is to be kept beside the rules of this function.
    """
    user_ids, user = _first_appearance(raw.user_id)
    item_ids, item = _first_appearance(raw.item_id)
    order = time_order(user, raw.timestamp, raw.item_id, ties, tie_seed)
    neighbours = tied_neighbours(user[order], raw.timestamp[order])
    by_id = ties == 'file_order' and follows_ids(user, item, item_ids, order, neighbours)
    if by_id:
        order = time_order(user, raw.timestamp, raw.item_id, 'shuffled', tie_seed)
    records = [catalogue.get(item_id, ItemRecord()) for item_id in item_ids]
    columns = [list(column) for column in zip(*records)]
    ordered = raw.take(order)
    corpus = Corpus(
        name=name,
        items=Items(item_ids, *columns[:4], np.asarray(columns[4], np.float32)),
        users=Users(user_ids, [profiles.get(user_id, '') for user_id in user_ids]),
        events=Events(
            user[order], item[order], ordered.timestamp, ordered.rating, ordered.summary, ordered.review
        ),
        provenance={
            **provenance,
            'ties': 'shuffled' if by_id else ties,
            'tie_seed': tie_seed if by_id or ties == 'shuffled' else None,
            'ties_listed_by_id': by_id,
            'tied_events_share': tied_share(neighbours),
        },
    )
    return relabel(corpus, relabel_seed)


def _first_appearance(ids: list[str]) -> tuple[list[str], Int[np.ndarray, 'events']]:
    """The distinct ids in the order of their first appearance, and each event's index into them."""
    index = {value: row for row, value in enumerate(dict.fromkeys(ids))}
    return list(index), np.fromiter((index[value] for value in ids), np.int64, len(ids))
