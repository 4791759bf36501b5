"""Recommendations for histories that come as JSON lines."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from llmrec_jax.corpora.splits import RankingCases, Sequences
from llmrec_jax.evaluation.recommendations import ABSENT
from llmrec_jax.stages.catalogue_file import ShownItems
from llmrec_jax.stages.rank import TrainedRecommender

LINES_AT_ONCE = 4096
EXPECTED = '{"user_id": "...", "history": ["<item id>", ...]}, the history oldest first'


def recommend_lines(
    recommender: TrainedRecommender, shown: ShownItems, lines: Iterable[str], k: int, seen_items: str
) -> Iterator[str]:
    """One JSON line of ranked items for each line of a user's history.

    Args:
      recommender: of a trained system.
      shown: its catalogue.
      lines: `{"user_id": ..., "history": [item ids, oldest first]}`.
      k: items a user.
      seen_items: 'kept' or 'removed'.

    Yields:
      `{"user_id": ..., "items": [{"item_id": ..., "title": ..., "score": ...}, ...]}`, best first,
      in the order of `lines`; fewer than `k` items where no more are left.

    Raises:
      ValueError: naming the line, when it is not JSON of that form, its history is empty, or the catalogue
        has no such item.
    """
    row_of = {item_id: row for row, item_id in enumerate(shown.item_id)}
    numbered = enumerate(lines, start=1)
    while part := list(itertools.islice(numbered, LINES_AT_ONCE)):
        users, histories = zip(*(parse_line(number, line, row_of) for number, line in part), strict=True)
        asked = recommender.for_users(users)
        found = asked.recommend(as_cases(histories), k, seen_items=seen_items)
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


def parse_line(number: int, line: str, row_of: Mapping[str, int]) -> tuple[str, list[int]]:
    """The user's id and the rows of the history.

    Args:
      number: of the line, for messages.
      line: JSON.
      row_of: item id to its row in the catalogue.

    Raises:
      ValueError: see `recommend_lines`.
    """
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f'line {number}: not JSON ({error}); expected {EXPECTED}') from error
    if not isinstance(record, dict) or not isinstance(record.get('history'), list):
        raise ValueError(f'line {number}: no history; expected {EXPECTED}')
    if not record['history']:
        raise ValueError(f'line {number}: the history is empty; expected {EXPECTED}')
    # What is no text may not even be hashed.
    unknown = [item for item in record['history'] if not isinstance(item, str) or item not in row_of]
    if unknown:
        raise ValueError(
            f'line {number}: item {unknown[0]!r} is not in the catalogue of {len(row_of)} items, such as '
            f'{next(iter(row_of))!r}'
        )
    return str(record.get('user_id', '')), [row_of[item] for item in record['history']]
