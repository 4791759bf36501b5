"""From interactions as a file lists them to a corpus: duplicates, the k-core, the order in time, the rows.

Items and users get random rows, so that an index says nothing about when or where it first appeared.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from llmrec_jax.corpora.corpus import Corpus, Events, Items, Users, take_rows
from llmrec_jax.corpora.event_rows import repeated_rows, runs, sorted_rows
from llmrec_jax.corpora.id_order import follows_ids, tied_neighbours, tied_share
from llmrec_jax.corpora.raw_files import bad_line
from llmrec_jax.corpora.text_column import TextColumn


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
    events_of_user, events_of_item = np.bincount(user), np.bincount(item)
    while True:
        dropped = np.flatnonzero(kept & ((events_of_user < k)[user] | (events_of_item < k)[item]))
        if not len(dropped):
            return kept
        kept[dropped] = False
        events_of_user -= np.bincount(user[dropped], minlength=len(events_of_user))
        events_of_item -= np.bincount(item[dropped], minlength=len(events_of_item))


# Amazon's times have the resolution of a day, so a good part of the neighbours in a history are ties.
# `assemble` tells what becomes of a file that lists ties by the ids of their items.
TIES = ('file_order', 'item_id', 'shuffled')


def time_order(
    user: Int[np.ndarray, 'events'],
    timestamp: Int[np.ndarray, 'events'],
    item_id: Sequence[str],
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
        'file_order': lambda: None,
        'item_id': lambda: _rank_of_ids(TextColumn.of(item_id)),
        'shuffled': lambda: np.random.default_rng(seed).permutation(len(user)),
    }[ties]()
    return sorted_rows(user, timestamp, rank)


def _rank_of_ids(ids: TextColumn) -> Int[np.ndarray, 'events']:
    distinct, codes = ids.encode()
    return np.argsort(np.argsort(np.asarray(distinct, dtype=object)))[codes]


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
    item_order, user_order = drawn_rows(len(corpus.items), len(corpus.users), seed)
    offsets = corpus.user_offsets
    lengths = np.diff(offsets)[user_order]
    moved = corpus.events.take(runs(offsets[:-1][user_order], lengths))
    return Corpus(
        name=corpus.name,
        items=corpus.items.take(item_order),
        users=corpus.users.take(user_order),
        events=dataclasses.replace(
            moved, user=np.repeat(np.arange(len(lengths)), lengths), item=inverse(item_order)[moved.item]
        ),
        provenance=provenance,
    )


def drawn_rows(
    n_items: int, n_users: int, seed: int | None
) -> tuple[Int[np.ndarray, 'items'], Int[np.ndarray, 'users']]:
    """Which item and which user go to each row."""
    if seed is None:
        return np.arange(n_items), np.arange(n_users)
    rng = np.random.default_rng(seed)
    return rng.permutation(n_items), rng.permutation(n_users)


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
    user_id: Sequence[str]
    item_id: Sequence[str]
    timestamp: Int[np.ndarray, 'events']
    rating: Float[np.ndarray, 'events']
    summary: Sequence[str]
    review: Sequence[str]

    def __post_init__(self):
        for name in ('user_id', 'item_id', 'summary', 'review'):
            object.__setattr__(self, name, TextColumn.of(getattr(self, name)))

    def __len__(self) -> int:
        return len(self.line)

    def take(self, rows: Int[np.ndarray, 'chosen']) -> 'RawEvents':
        """The events at `rows`, in that order."""
        return take_rows(self, rows)


def without_duplicates(raw: RawEvents, path: Path, duplicates: str) -> RawEvents:
    """`raw` with each combination of user, item and time once.

    Args:
      raw: the events of one file.
      path: that file.
      duplicates: 'keep_first' keeps the first of its kind in the file; 'error' takes none.

    Raises:
      ValueError: under 'error', naming file and line of the first event that comes again.
    """
    again, first = repeated_rows(raw.user_id.encode()[1], raw.item_id.encode()[1], raw.timestamp)
    if not len(again):
        return raw
    if duplicates == 'error':
        row = int(again[0])
        bad_line(
            path,
            int(raw.line[row]),
            f'user {raw.user_id[row]!r}, item {raw.item_id[row]!r}, time {raw.timestamp[row]} is on line '
            f'{raw.line[first[0]]} already',
            "each event once (duplicates='keep_first' drops the later ones)",
        )
    kept = np.ones(len(raw), bool)
    kept[again] = False
    return raw.take(np.flatnonzero(kept))


def core_events(raw: RawEvents, k: int, name: str) -> RawEvents:
    """The events of the k-core (see `k_core`).

    Raises:
      ValueError: when nothing is left.
    """
    kept = k_core(raw.user_id.encode()[1], raw.item_id.encode()[1], k)
    if not kept.any():
        raise ValueError(
            f'corpus {name!r}: the {k}-core of its {len(raw)} events is empty; set a smaller k_core'
        )
    return raw if kept.all() else raw.take(np.flatnonzero(kept))


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
    (user_ids, user), (item_ids, item) = raw.user_id.encode(), raw.item_id.encode()
    item_order, user_order = drawn_rows(len(item_ids), len(user_ids), relabel_seed)
    user = inverse(user_order)[user]
    order = time_order(user, raw.timestamp, raw.item_id, ties, tie_seed)
    neighbours = tied_neighbours(user[order], raw.timestamp[order])
    by_id = ties == 'file_order' and follows_ids(user, item, item_ids, order, neighbours)
    if by_id:
        order = time_order(user, raw.timestamp, raw.item_id, 'shuffled', tie_seed)
    return Corpus(
        name=name,
        items=items_of(item_ids, catalogue).take(item_order),
        users=Users(user_ids, [profiles.get(user_id, '') for user_id in user_ids]).take(user_order),
        events=Events(
            np.repeat(np.arange(len(user_ids)), np.bincount(user)),
            inverse(item_order)[item[order]],
            raw.timestamp[order],
            raw.rating[order],
            raw.summary.take(order),
            raw.review.take(order),
        ),
        provenance={
            **provenance,
            **order_facts(ties, tie_seed, by_id, tied_share(neighbours)),
            'relabel_seed': relabel_seed,
        },
    )


def items_of(item_ids: Sequence[str], catalogue: Mapping[str, ItemRecord]) -> Items:
    """The table of the items of these ids; those that the catalogue does not have are without text."""
    records = [catalogue.get(item_id, ItemRecord()) for item_id in item_ids]
    columns = [list(column) for column in zip(*records)]
    return Items(item_ids, *columns[:4], np.asarray(columns[4], np.float32))


def order_facts(ties: str, tie_seed: int, by_id: bool, share: float) -> dict[str, Any]:
    """What the provenance says of the order of ties.

    Args:
      ties: see `time_order`.
      tie_seed: of the shuffle.
      by_id: whether the file lists them by the ids of their items.
      share: of events that tie.
    """
    return {
        'ties': 'shuffled' if by_id else ties,
        'tie_seed': tie_seed if by_id or ties == 'shuffled' else None,
        'ties_listed_by_id': by_id,
        'tied_events_share': share,
    }


def inverse(order: Int[np.ndarray, 'rows']) -> Int[np.ndarray, 'rows']:
    """The row to which each one goes; as int32, because there are many events of few of them."""
    places = np.empty(len(order), np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    return places
