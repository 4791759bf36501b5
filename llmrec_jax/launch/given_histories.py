"""Histories that come from outside the corpus, as what the recommenders are asked."""

from collections.abc import Sequence

import numpy as np

from llmrec_jax.corpora.splits import RankingCases, Sequences
from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.semantic_ids.token_layout import TokenLayout
from llmrec_jax.training.columns import ColumnStore


def as_cases(histories: Sequence[Sequence[int]]) -> RankingCases:
    """Cases whose users are numbered in order; their target, item 0, means nothing."""
    offsets = np.cumsum([0, *(len(row) for row in histories)])
    values = np.concatenate([np.asarray(row, np.int64) for row in histories])
    return RankingCases(
        np.arange(len(histories)), Sequences(values, offsets), np.zeros(len(histories), np.int64)
    )


def as_semantic_ids(
    users: Sequence[str],
    histories: Sequence[Sequence[int]],
    table: CodeTable,
    layout: TokenLayout,
    max_items: int,
) -> ColumnStore:
    """What TIGER's task makes of these histories, without SeqIO: user token, then the newest items' codes.

    The users are numbered as in `as_cases`.
    """
    tokens = layout.item_tokens(table.codes)
    inputs = [
        np.concatenate([[layout.user_token(user)], tokens[np.asarray(history)[-max_items:]].reshape(-1)])
        for user, history in zip(users, histories, strict=True)
    ]
    return ColumnStore.in_memory({'inputs': inputs, 'user': np.arange(len(users))[:, None]})
