"""Recommendations for histories that come as JSON lines."""

import dataclasses
import functools
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from llmrec_jax.corpora.raw_files import bad_line, well_formed
from llmrec_jax.corpora.splits import RankingCases, Sequences
from llmrec_jax.evaluation.recommendations import ABSENT
from llmrec_jax.stages.catalogue_file import ShownItems
from llmrec_jax.stages.rank import TrainedRecommender

LINES_AT_ONCE = 4096
EXPECTED = '{"user_id": "...", "history": ["<item id>", ...]}, the history oldest first'
_LONGEST_SHOWN = 60
_ITEMS_SHOWN = 10


@dataclasses.dataclass(frozen=True)
class AskedLine:
    """One line: whose history it is, '' for nobody's, and its rows of the catalogue, oldest first."""

    user: str
    history: list[int]


@dataclasses.dataclass(frozen=True)
class AskedHistories:
    """Histories as `infer` answers them; see `asked_files.Parse` for `parse`.

    Attributes:
      recommender: of a trained system.
      shown: its catalogue.
      k: items a user.
      seen_items: 'kept' or 'removed'.
    """

    recommender: TrainedRecommender
    shown: ShownItems
    k: int
    seen_items: str

    def parse(self, name: str, number: int, record: dict[str, Any]) -> AskedLine:
        """What one line asks for."""
        return parse_history(name, number, record, self._row_of)

    def answers(self, asked: Iterable[AskedLine]) -> Iterator[str]:
        """See `recommend`."""
        return recommend(self.recommender, self.shown, asked, self.k, self.seen_items)

    @functools.cached_property
    def _row_of(self) -> dict[str, int]:
        return {item_id: row for row, item_id in enumerate(self.shown.item_id)}


def recommend(
    recommender: TrainedRecommender, shown: ShownItems, asked: Iterable[AskedLine], k: int, seen_items: str
) -> Iterator[str]:
    """One JSON line of ranked items for each user.

    Args:
      recommender: of a trained system.
      shown: its catalogue.
      asked: the users' histories.
      k: items a user.
      seen_items: 'kept' or 'removed'.

    Yields:
      `{"user_id": ..., "items": [{"item_id": ..., "title": ..., "score": ...}, ...]}`, best first,
      in the order of `asked`; fewer than `k` items where no more are left.
    """
    remaining = iter(asked)
    while part := list(itertools.islice(remaining, LINES_AT_ONCE)):
        users = [one.user for one in part]
        cases = as_cases([one.history for one in part])
        found = recommender.for_users(users).recommend(cases, k, seen_items=seen_items)
        for user, items, scores in zip(users, found.items.tolist(), found.scores.tolist(), strict=True):
            listed = [
                {'item_id': shown.item_id[item], 'title': shown.title[item], 'score': score}
                for item, score in zip(items, scores, strict=True)
                if item != ABSENT
            ]
            yield json.dumps({'user_id': user, 'items': listed}, ensure_ascii=False)


def as_cases(histories: Sequence[Sequence[int]]) -> RankingCases:
    """Cases whose users are numbered in order; their target, item 0, means nothing.

    Args:
      histories: rows of the catalogue, oldest first.
    """
    offsets = np.cumsum([0, *(len(row) for row in histories)])
    values = np.concatenate([np.asarray(row, np.int64) for row in histories])
    return RankingCases(
        np.arange(len(histories)), Sequences(values, offsets), np.zeros(len(histories), np.int64)
    )


def parse_history(name: str, number: int, record: dict[str, Any], row_of: Mapping[str, int]) -> AskedLine:
    """What the object of one line asks for.

    Args:
      name: of the file, for messages.
      number: of the line.
      record: `{"user_id": ..., "history": [item ids, oldest first]}`.
      row_of: item id to its row in the catalogue.

    Raises:
      ValueError: naming the line, when it is not of that form, its history is empty, or the catalogue
        has no such item.
    """
    user = '' if record.get('user_id') is None else record['user_id']
    if not isinstance(user, str):
        bad_line(name, number, f'user_id is {_shown(user)}, which is no text', EXPECTED)
    if user != well_formed(user):
        bad_line(name, number, f'user_id is {_shown(user)}, which holds half a character', 'whole ones')
    history = record.get('history')
    if not isinstance(history, list):
        bad_line(name, number, 'no history', EXPECTED)
    if not history:
        bad_line(name, number, 'the history is empty', EXPECTED)
    # What is no text may not even be hashed.
    unknown = [item for item in history if not isinstance(item, str) or item not in row_of]
    if unknown:
        shown = ', '.join(map(_shown, unknown[:_ITEMS_SHOWN])) + (
            ', …' if len(unknown) > _ITEMS_SHOWN else ''
        )
        what = f'item {shown} is' if len(unknown) == 1 else f'items {shown} are'
        bad_line(
            name,
            number,
            f'{what} not in the catalogue of {len(row_of)} items',
            f'texts such as {next(iter(row_of))!r}',
        )
    return AskedLine(user, [row_of[item] for item in history])


def _shown(value: Any) -> str:
    text = ascii(value) if isinstance(value, str) and value != well_formed(value) else repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f'{text[:_LONGEST_SHOWN]}…'
