"""The data card: all that is worth knowing of a corpus before anything is trained on it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.splits import RankingCases, Sequences, Splits, leave_last_out
from llmrec_jax.evaluation.data_card import counts
from llmrec_jax.evaluation.id_leak import IdLeak, id_leak

SAMPLED_USERS = 4
_EVENTS_OF_A_USER = 5
# Pairs of items within a history that the leak detector may count, and cases that it plays on.
_PAIRS, _CASES = 30_000_000, 20_000
_SEED = 0
# What sources count in the provenance, by those names.
_COUNTED = (
    *('events_read', 'rows_read', 'rows_blank', 'rows_unreadable', 'rows_below_min_rating', 'duplicates'),
    *('repeated_events', 'scraps_removed', 'scraps_by_field', 'items_listed', 'items_not_listed'),
    *('items_without_text', 'events_of_items_without_text', 'users_of_items_without_text'),
)


@dataclasses.dataclass(frozen=True)
class DataCard:
    """A corpus in numbers and examples.

    Attributes:
      name: of the corpus.
      fingerprint: of the corpus.
      sizes: numbers of users, items and events, and the density of the matrix of users and items.
      histories: see `counts.history_record`.
      popularity: see `counts.popularity_record`.
      times: see `counts.time_record`.
      texts: see `counts.text_record`.
      splits: see `counts.split_record`, under leave-last-out.
      id_leak: the leak detector on the source's own ids of items; None where there is no case to play on.
      id_leak_users: users whose histories the detector saw.
      provenance: how the corpus was made.
      sample: events of some users, drawn by a fixed seed.
      gin: lines that put the corpus in the place of a recipe's own.
    """

    name: str
    fingerprint: str
    sizes: Mapping[str, Any]
    histories: Mapping[str, Any]
    popularity: Mapping[str, Any]
    times: Mapping[str, Any]
    texts: Mapping[str, Any]
    splits: Mapping[str, Any]
    id_leak: IdLeak | None
    id_leak_users: int
    provenance: Mapping[str, Any]
    sample: Sequence[Mapping[str, Any]]
    gin: str

    @property
    def left_out(self) -> dict[str, Any]:
        """How much was read, and what of it is not in the corpus, as far as the source counts it."""
        return {name: self.provenance[name] for name in _COUNTED if name in self.provenance}

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        record = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        record['left_out'] = self.left_out
        if self.id_leak is not None:
            record['id_leak'] = {
                **dataclasses.asdict(self.id_leak),
                'leaks': self.id_leak.leaks,
                'verdict': str(self.id_leak),
            }
        return record


def data_card(corpus: Corpus, gin: str) -> DataCard:
    """Counts what a card shows.

    Args:
      corpus: with at least one event.
      gin: lines that put the corpus in the place of a recipe's own.
    """
    splits = leave_last_out(corpus)
    leak, users = _leak_of(corpus, splits)
    pairs = len(corpus.users) * len(corpus.items)
    return DataCard(
        name=corpus.name,
        fingerprint=corpus.fingerprint(),
        sizes={
            'users': len(corpus.users),
            'items': len(corpus.items),
            'events': len(corpus.events),
            'density': len(corpus.events) / pairs,
        },
        histories=counts.history_record(corpus),
        popularity=counts.popularity_record(corpus),
        times=counts.time_record(corpus),
        texts=counts.text_record(corpus.items),
        splits=counts.split_record(splits, len(corpus.items)),
        id_leak=leak,
        id_leak_users=users,
        provenance=corpus.provenance,
        sample=_sample(corpus),
        gin=gin,
    )


def _leak_of(corpus: Corpus, splits: Splits) -> tuple[IdLeak | None, int]:
    """The detector on the test cases of as many users, drawn, as it can look at in seconds."""
    names = list(corpus.items.item_id)
    if not len(splits.test) or len(set(names)) < len(names):
        return None, 0
    drawn = np.random.default_rng(_SEED).permutation(len(splits.test))
    lengths = splits.train.lengths[splits.test.user[drawn]].astype(np.float64)
    within = int(np.searchsorted(np.cumsum(lengths**2), _PAIRS, side='right'))
    chosen = np.sort(drawn[: max(1, min(within, _CASES))])
    users = splits.test.user[chosen]
    if len(users) == len(splits.test):
        return id_leak(names, splits.train, splits.test), len(users)
    # Cases of the drawn users, and their histories, as if there were no others.
    everyone = RankingCases(np.arange(len(splits.train)), splits.train, np.arange(len(splits.train)))
    train: Sequences = everyone.select(users).histories
    return id_leak(names, train, splits.test.select(chosen)), len(users)


def _sample(corpus: Corpus) -> list[dict[str, Any]]:
    users = np.random.default_rng(_SEED).permutation(len(corpus.users))[:SAMPLED_USERS]
    offsets, events, items = corpus.user_offsets, corpus.events, corpus.items
    rows = [
        (int(user), row)
        for user in users
        for row in range(
            int(offsets[user]), min(int(offsets[user]) + _EVENTS_OF_A_USER, int(offsets[user + 1]))
        )
    ]
    return [
        {
            'user': corpus.users.user_id[user],
            'item': items.item_id[item],
            'title': items.title[item],
            'categories': list(items.categories[item]),
            'time': int(events.timestamp[row]),
            'rating': None if np.isnan(events.rating[row]) else float(events.rating[row]),
        }
        for user, row in rows
        for item in (int(events.item[row]),)
    ]
