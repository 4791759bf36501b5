"""SeqIO metric functions over beams: a hit is the item, never a shared code prefix."""

import functools
from collections.abc import Callable, Sequence

import numpy as np

from llmrec_jax.evaluation import metrics


def beam_ranks(targets: Sequence[str], predictions: Sequence[Sequence[str]]) -> np.ndarray:
    """1-based rank of each target among its beams, 0 where it is in none.

    Args:
      targets: the target's semantic ID as text; unique to an item, its collision level included.
      predictions: beams of each example, best last, as T5X's `predict_batch` returns them.
    """
    ranks = np.zeros(len(targets), np.int64)
    for row, (target, beams) in enumerate(zip(targets, predictions, strict=True)):
        best_first = list(reversed(beams))
        ranks[row] = best_first.index(target) + 1 if target in best_first else 0
    return ranks


def _recall_and_ndcg(targets, predictions, *, ks: tuple[int, ...]) -> dict[str, float]:
    ranks = beam_ranks(targets, predictions)
    named = {}
    for k in ks:
        named[f'recall@{k}'] = metrics.mean_over_cases(metrics.recall_at_k(ranks, k))
        named[f'ndcg@{k}'] = metrics.mean_over_cases(metrics.ndcg_at_k(ranks, k))
    return named


def recall_and_ndcg(ks: tuple[int, ...]) -> Callable[..., dict[str, float]]:
    """A SeqIO metric function giving `recall@k` and `ndcg@k` over the full catalogue."""
    # SeqIO tells prediction metrics from score metrics by the positional names `targets, predictions`.
    return functools.partial(_recall_and_ndcg, ks=tuple(ks))
