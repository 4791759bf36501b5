"""Ranking metrics with one relevant item a case, from the rank of that item (papers: S3-Rec, TIGER).

Ranks start at 1; 0 means that the target was not ranked and counts as a miss. Every function gives one value
a case, so that means, intervals and paired comparisons all come from the same numbers.

>>> ranks = np.array([1, 3, 11, 0])
>>> recall_at_k(ranks, 10).tolist()
[1.0, 1.0, 0.0, 0.0]
>>> ndcg_at_k(ranks, 10).tolist()
[1.0, 0.5, 0.0, 0.0]
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int


def recall_at_k(target_rank: Int[np.ndarray, 'cases'], k: int) -> Float[np.ndarray, 'cases']:
    """1 where the target is among the first `k`; with one relevant item the same as the hit rate.

    Raises:
      ValueError: when `k` is below 1 or a rank is negative.
    """
    return _hits(target_rank, k).astype(np.float64)


hit_rate_at_k = recall_at_k


def ndcg_at_k(target_rank: Int[np.ndarray, 'cases'], k: int) -> Float[np.ndarray, 'cases']:
    """1 / log2(rank + 1) where the target is among the first `k`: the ideal DCG of one relevant item is 1.

    Raises:
      ValueError: when `k` is below 1 or a rank is negative.
    """
    return np.where(_hits(target_rank, k), 1 / np.log2(np.maximum(target_rank, 1) + 1), 0.0)


def mrr_at_k(target_rank: Int[np.ndarray, 'cases'], k: int) -> Float[np.ndarray, 'cases']:
    """1 / rank where the target is among the first `k`.

    The cut-off keeps systems comparable: a beam search ranks a few dozen items, a dense scorer all of them.

    Raises:
      ValueError: when `k` is below 1 or a rank is negative.
    """
    return np.where(_hits(target_rank, k), 1 / np.maximum(target_rank, 1), 0.0)


def mean_over_cases(values: Float[np.ndarray, 'cases']) -> float:
    """The mean, rounded once: whatever order the cases come in, it is the same to the last digit."""
    return math.fsum(values.tolist()) / len(values)


def case_metrics(
    target_rank: Int[np.ndarray, 'cases'], ks: Sequence[int]
) -> dict[str, Float[np.ndarray, 'cases']]:
    """`recall@k`, `ndcg@k` and `mrr@k` of every case, for each k."""
    return {
        f'{name}@{k}': metric(target_rank, k)
        for k in ks
        for name, metric in (('recall', recall_at_k), ('ndcg', ndcg_at_k), ('mrr', mrr_at_k))
    }


def _hits(target_rank: Int[np.ndarray, 'cases'], k: int) -> Bool[np.ndarray, 'cases']:
    if k < 1:
        raise ValueError(f'cut-off k={k} must be at least 1')
    if len(target_rank) and target_rank.min() < 0:
        raise ValueError(f'rank {target_rank.min()} is negative; ranks start at 1, and 0 means not ranked')
    return (target_rank >= 1) & (target_rank <= k)
