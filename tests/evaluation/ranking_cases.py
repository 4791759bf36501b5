"""Small hand-made cases."""

from collections.abc import Sequence

import numpy as np

from llmrec_jax.corpora.splits import RankingCases, Sequences


def sequences(rows: Sequence[Sequence[int]]) -> Sequences:
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Sequences(np.array([item for row in rows for item in row], np.int64), offsets)


def ranking_cases(rows: Sequence[Sequence[int]], targets: Sequence[int]) -> RankingCases:
    return RankingCases(np.arange(len(rows)), sequences(rows), np.array(targets, np.int64))
