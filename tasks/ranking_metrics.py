"""SeqIO metric functions over ranked items: a hit is the item, never a shared code prefix."""

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from llmrec_jax.evaluation import metrics
from llmrec_jax.evaluation.recommendations import from_ranked_lists


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


def _recall_and_ndcg(targets, predictions, *, ks: tuple[int, ...], suffix: str) -> dict[str, float]:
    return _named(beam_ranks(targets, predictions), ks, suffix)


def _recall_and_ndcg_of_items(
    targets: Sequence[int],
    predictions: Sequence[Sequence[int]],
    aux_values: Mapping[str, Sequence[Sequence[float]]],
    *,
    ks: tuple[int, ...],
    suffix: str,
) -> dict[str, float]:
    del predictions
    items = np.asarray(aux_values['items'])[:, ::-1]
    if items.shape[1] < max(ks):
        raise ValueError(
            f'lists of {items.shape[1]} items give no recall@{max(ks)}: raise list_length of the model'
        )
    scores = np.asarray(aux_values['scores'], np.float64)[:, ::-1]
    return _named(from_ranked_lists(items, scores, np.asarray(targets)).target_rank, ks, suffix)


def _named(ranks: np.ndarray, ks: tuple[int, ...], suffix: str) -> dict[str, float]:
    named = {}
    for k in ks:
        named[f'recall@{k}{suffix}'] = metrics.mean_over_cases(metrics.recall_at_k(ranks, k))
        named[f'ndcg@{k}{suffix}'] = metrics.mean_over_cases(metrics.ndcg_at_k(ranks, k))
    return named


def recall_and_ndcg(ks: tuple[int, ...], suffix: str = '') -> Callable[..., dict[str, float]]:
    """A SeqIO metric function giving `recall@k` and `ndcg@k` over the full catalogue.

    Args:
      ks: the cut-offs.
      suffix: what the names end in; see `evaluation.results.metric_suffix`.
    """
    # SeqIO tells prediction metrics from score metrics by the positional names `targets, predictions`.
    return functools.partial(_recall_and_ndcg, ks=tuple(ks), suffix=suffix)


def recall_and_ndcg_of_items(ks: tuple[int, ...], suffix: str = '') -> Callable[..., dict[str, float]]:
    """The same of lists of items, as the models that rank a catalogue predict them, best last.

    Targets are rows of items; lists come as 'items' and 'scores' of the predictions' aux values. Ties count
    against the target, as `evaluation.recommendations` counts them, as far as the list shows them: a list one
    longer than the deepest cut-off shows all that matter.

    Args:
      ks: the cut-offs.
      suffix: see `recall_and_ndcg`.
    """
    return functools.partial(_recall_and_ndcg_of_items, ks=tuple(ks), suffix=suffix)
