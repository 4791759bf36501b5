"""The ranking baselines on the examples of a task: over the full catalogue, or within a case's candidates."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int

from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.evaluation.item_name_metrics import KS, rank_estimates, ranks_of_scores
from llmrec_jax.evaluation.metric_estimates import MetricEstimates, plain_means
from llmrec_jax.evaluation.recommender import DenseRecommender, case_batches

_SCORES_AT_ONCE = 1_000_000


def catalogue_baselines(
    baselines: Mapping[str, DenseRecommender], cases: RankingCases, ks: Sequence[int] = KS
) -> dict[str, MetricEstimates]:
    """`hit_rate@k` and `ndcg@k` of every baseline and of a blind draw ('chance').

    A baseline that never lists what the user had is called `<name>_seen_removed`.

    Args:
      baselines: fitted on training histories; see `counted.fit_baselines`.
      cases: the histories and targets of the task's examples, in their order.
      ks: cut-offs.

    Raises:
      ValueError: when there are no baselines or no cases.
    """
    n_items = next(iter(baselines.values())).n_items
    estimates = {}
    for seen_items, behind in (('kept', ''), ('removed', '_seen_removed')):
        for name, baseline in baselines.items():
            found = baseline.recommend(cases, max(ks), seen_items=seen_items)
            estimates[f'{name}{behind}'] = rank_estimates(found.target_rank, ks)
    return estimates | {'chance': _chance(len(cases), n_items, ks, suffix='')}


def candidate_baselines(
    baselines: Mapping[str, DenseRecommender],
    cases: RankingCases,
    candidates: Int[np.ndarray, 'cases candidates'],
    ks: Sequence[int] = KS,
) -> dict[str, MetricEstimates]:
    """`hit_rate@k_of_n` and `ndcg@k_of_n` of every baseline and of a blind draw among n candidates.

    Args:
      baselines: see `catalogue_baselines`.
      cases: see `catalogue_baselines`.
      candidates: rows of the items that each case offers, the target among them.
      ks: cut-offs.

    Raises:
      ValueError: when a target is not among its candidates exactly once, or there are no cases.
    """
    is_target = candidates == cases.target[:, None]
    wrong = np.flatnonzero(is_target.sum(axis=1) != 1)
    if len(wrong):
        raise ValueError(f'case {wrong[0]} offers its target {is_target[wrong[0]].sum()} times, not once')
    count = candidates.shape[1]
    column = is_target.argmax(axis=1)
    estimates = {}
    for name, baseline in baselines.items():
        ranks, start = [], 0
        for batch in case_batches(cases, max(1, _SCORES_AT_ONCE // baseline.n_items)):
            rows = slice(start, start + len(batch))
            scores = np.take_along_axis(baseline.scores(batch.histories), candidates[rows], axis=1)
            ranks.append(ranks_of_scores(scores, column[rows]))
            start += len(batch)
        estimates[name] = rank_estimates(np.concatenate(ranks), ks, count)
    return estimates | {'chance': _chance(len(cases), count, ks, suffix=f'_of_{count}')}


def _chance(cases: int, choices: int, ks: Sequence[int], suffix: str) -> MetricEstimates:
    """What drawing an order blindly is expected to reach, in every case."""
    gains = 1 / np.log2(np.arange(2, max(ks) + 2)) / choices
    gains[choices:] = 0.0
    expected = {f'hit_rate@{k}{suffix}': min(k / choices, 1.0) for k in ks}
    expected |= {f'ndcg@{k}{suffix}': float(gains[:k].sum()) for k in ks}
    return MetricEstimates({name: np.full(cases, value) for name, value in expected.items()}, plain_means)
