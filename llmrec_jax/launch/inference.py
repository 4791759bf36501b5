"""Recommendations for histories that come as JSON lines."""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import Int

from llmrec_jax.corpora.splits import RankingCases, Sequences
from llmrec_jax.launch.workspace import Workspace
from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.semantic_ids.token_layout import TokenLayout
from llmrec_jax.training.columns import ColumnStore

LINES_AT_ONCE = 4096
EXPECTED = '{"user_id": "...", "history": ["<item id>", ...]}, the history oldest first'


def recommend_lines(workspace: Workspace, lines: Iterable[str], k: int, seen_items: str) -> Iterator[str]:
    """One JSON line of ranked items for each line of a user's history.

    Args:
      workspace: of a trained recipe, or with a checkpoint of its model.
      lines: `{"user_id": ..., "history": [item ids, oldest first]}`.
      k: items a user.
      seen_items: 'kept' or 'removed'.

    Returns:
      `{"user_id": ..., "items": [{"item_id": ..., "title": ..., "score": ...}, ...]}`, best first,
      in the order of `lines`; fewer than `k` items where no more are left.

    Raises:
      ValueError: naming the line, when it is not JSON of that form, its history is empty, or the catalogue
        has no such item.
    """
    shown = workspace.catalogue
    row_of = {item_id: row for row, item_id in enumerate(shown.item_id)}
    params = workspace.params
    numbered = enumerate(lines, start=1)
    while part := list(itertools.islice(numbered, LINES_AT_ONCE)):
        users, histories = zip(*(parse_line(number, line, row_of) for number, line in part), strict=True)
        cases, examples = as_examples(
            users, histories, workspace.code_table, workspace.recipe.layout, workspace.recipe.task.max_items
        )
        recommender = workspace.recommender_over(examples, params)
        answers: dict[int, list[dict]] = {}
        for rows, beams in recommender.beams(cases, seen_items=seen_items):
            items, scores = np.asarray(beams.items)[:, :k], np.asarray(beams.scores)[:, :k]
            for place, row in enumerate(rows.tolist()):
                answers[row] = [
                    {'item_id': shown.item_id[item], 'title': shown.title[item], 'score': float(score)}
                    for item, score in zip(items[place].tolist(), scores[place], strict=True)
                    if item >= 0
                ]
        for row, user in enumerate(users):
            yield json.dumps({'user_id': user, 'items': answers[row]}, ensure_ascii=False)


def parse_line(number: int, line: str, row_of: dict[str, int]) -> tuple[str, list[int]]:
    """The user's id and the rows of the history.

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
    unknown = [item for item in record['history'] if item not in row_of]
    if unknown:
        raise ValueError(
            f'line {number}: item {unknown[0]!r} is not in the catalogue of {len(row_of)} items, such as '
            f'{next(iter(row_of))!r}'
        )
    return str(record.get('user_id', '')), [row_of[item] for item in record['history']]


def as_examples(
    users: Sequence[str],
    histories: Sequence[Sequence[int]],
    table: CodeTable,
    layout: TokenLayout,
    max_items: int,
) -> tuple[RankingCases, ColumnStore]:
    """What TIGER's task makes of these histories, without SeqIO: user token, then the newest items' codes."""
    tokens = layout.item_tokens(table.codes)
    inputs = [
        np.concatenate([[layout.user_token(user)], tokens[np.asarray(history)[-max_items:]].reshape(-1)])
        for user, history in zip(users, histories, strict=True)
    ]
    rows = np.arange(len(users))
    store = ColumnStore.in_memory({'inputs': inputs, 'user': rows[:, None]})
    return RankingCases(rows, _ragged(histories), np.full(len(users), -1)), store


def _ragged(rows: Sequence[Sequence[int] | Int[np.ndarray, '_']]) -> Sequences:
    offsets = np.cumsum([0, *(len(row) for row in rows)])
    return Sequences(np.concatenate([np.asarray(row, np.int64) for row in rows]), offsets)
