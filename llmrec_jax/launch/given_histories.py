"""Histories that come from outside the corpus, as what the recommenders are asked."""

from collections.abc import Sequence

import numpy as np

from llmrec_jax.corpora.splits import RankingCases, Sequences


def as_cases(histories: Sequence[Sequence[int]]) -> RankingCases:
    """Cases whose users are numbered in order; their target, item 0, means nothing."""
    offsets = np.cumsum([0, *(len(row) for row in histories)])
    values = np.concatenate([np.asarray(row, np.int64) for row in histories])
    return RankingCases(
        np.arange(len(histories)), Sequences(values, offsets), np.zeros(len(histories), np.int64)
    )
