"""Recommending items that training knows nothing of: by a prefix of their codes, or by the nearest text.

A search writes codes of items that were learned. Each item that it lists brings along the unseen items that
share the first of its codes; a quota says how many of a list may be unseen (TIGER, section 4.3). The rival is
the nearest neighbour in the space of text vectors, under the same quota.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.metric_estimates import MetricEstimates, plain_means
from llmrec_jax.evaluation.recommendations import ABSENT, from_dense
from llmrec_jax.evaluation.recommender import SCORES_AT_ONCE, case_batches, leave_out
from llmrec_jax.retrieval.vector_retriever import POOLINGS

Lists = Int[np.ndarray, 'cases width']


def with_prefix_matches(
    items: Int[np.ndarray, 'cases listed'],
    codes: Int[np.ndarray, 'items levels'],
    unseen: Bool[np.ndarray, 'items'],
    cases: RankingCases,
    *,
    seen_items: str,
) -> Lists:
    """Lists in which each item is followed by the unseen items that have its codes.

    Args:
      items: what a search listed, best first; -1 in absent slots, which come last.
      codes: of all items, as many levels as are to agree.
      unseen: the items that training knows nothing of.
      cases: whose histories are left out where `seen_items` is 'removed'.
      seen_items: 'kept' or 'removed'.

    Returns:
      Items without repeats, padded with -1. Unseen items of one prefix stand in the order of their indices.
    """
    group = np.unique(codes, axis=0, return_inverse=True)[1].reshape(-1)
    of_group: dict[int, list[int]] = {}
    for item in np.flatnonzero(unseen).tolist():
        of_group.setdefault(int(group[item]), []).append(item)
    rows = []
    for row, listed in enumerate(items.tolist()):
        had = set(cases.histories[row].tolist()) if seen_items == 'removed' else set()
        found: dict[int, None] = {}
        for item in listed:
            if item == ABSENT:
                break
            found[item] = None
            for other in of_group.get(int(group[item]), ()):
                if other not in had:
                    found[other] = None
        rows.append(list(found))
    widest = max(map(len, rows), default=0)
    padded = np.full((len(rows), widest), ABSENT, np.int64)
    for row, found in enumerate(rows):
        padded[row, : len(found)] = found
    return padded


def nearest_texts(
    vectors: Float[np.ndarray, 'items dim'],
    cases: RankingCases,
    k: int,
    pooling: str,
    unseen: Bool[np.ndarray, 'items'],
    *,
    seen_items: str,
) -> Lists:
    """The `k` nearest seen and the `k` nearest unseen items of each history, by cosine, in one order.

    Args:
      vectors: of the items' texts.
      cases: whose histories.
      k: how many of either kind.
      pooling: one of `vector_retriever.POOLINGS`: of what of a history the neighbours are.
      unseen: the items that training knows nothing of.
      seen_items: 'kept' or 'removed'.
    """
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    new = np.flatnonzero(unseen)
    parts = []
    for batch in case_batches(cases, max(1, SCORES_AT_ONCE // len(vectors))):
        scores = POOLINGS[pooling](unit, batch.histories) @ unit.T
        if seen_items == 'removed':
            leave_out(scores, batch.histories)
        apart = from_dense(scores[:, new], np.zeros(len(batch), np.int64), k)
        scores[:, new] = -np.inf
        known = from_dense(scores, batch.target, k)
        items = np.concatenate([known.items, np.where(apart.items < 0, ABSENT, new[apart.items])], axis=1)
        order = np.argsort(-np.concatenate([known.scores, apart.scores], axis=1), axis=1, kind='stable')
        parts.append(np.take_along_axis(items, order, axis=1))
    return np.concatenate(parts)


def quota_ranks(
    items: Lists,
    unseen: Bool[np.ndarray, 'items'],
    targets: Int[np.ndarray, 'cases'],
    k: int,
    quota: float,
) -> Int[np.ndarray, 'cases']:
    """Ranks of the targets in lists of `k` of which at most the share `quota` is unseen; 0 where not listed.

    Unseen items beyond the quota are passed over, and the next take their places.
    """
    listed = items != ABSENT
    is_unseen = listed & unseen[items]
    # Of 10 items a tenth is one, whatever the last digit of the product.
    most = int(np.floor(quota * k + 1e-9))
    kept = listed & (~is_unseen | (np.cumsum(is_unseen, axis=1) <= most))
    place = np.where(kept & (items == targets[:, None]), np.cumsum(kept, axis=1), 0).max(axis=1, initial=0)
    return np.where(place <= k, place, 0)


def quota_curves(
    lists: Mapping[str, Lists],
    rivals: Mapping[str, Lists],
    unseen: Bool[np.ndarray, 'items'],
    targets: Int[np.ndarray, 'cases'],
    ks: Sequence[int],
    quotas: Sequence[float],
    bootstrap: Bootstrap,
) -> list[dict[str, Any]]:
    """Recall of every system at every cut-off and quota: of unseen targets, of the others, and of all.

    Args:
      lists: by system.
      rivals: by name; what the systems are held against.
      unseen: the items that training knows nothing of.
      targets: of the cases.
      ks: cut-offs.
      quotas: shares of a list that may be unseen.
      bootstrap: gives the intervals, over the cases with unseen targets.

    Returns:
      A record a point: `system`, `k`, `quota`, `unseen_recall` with `unseen_recall_low` and `_high`,
      `other_recall`, `recall`; of systems `above_rival`, the paired difference to the rival that is better at
      this point, with `above_rival_low` and `above_rival_high`; and `chance`, which is what drawing unseen
      items gives.

    Raises:
      ValueError: when no target is unseen, or every one is.
    """
    cold = unseen[targets]
    if not cold.any() or cold.all():
        raise ValueError(
            f'{cold.sum()} of {len(cold)} test targets are without training events; both kinds are needed: '
            'hold items out with gin_configs/overlays/cold_items.gin'
        )
    records = []
    for k in ks:
        for quota in quotas:
            hits = {
                name: quota_ranks(found, unseen, targets, k, quota) > 0
                for name, found in {**lists, **rivals}.items()
            }
            best_rival = max(rivals, key=lambda name: hits[name][cold].mean())
            chance = min(1.0, int(np.floor(quota * k + 1e-9)) / int(unseen.sum()))
            for name, hit in hits.items():
                columns = {'unseen_recall': hit[cold].astype(float)}
                if name in lists:
                    columns['above_rival'] = hit[cold] - hits[best_rival][cold].astype(float)
                measured = MetricEstimates(columns, plain_means).measured(bootstrap)
                record = {'system': name, 'k': k, 'quota': quota, **measured.metrics}
                for metric, (low, high) in measured.intervals.items():
                    record |= {f'{metric}_low': low, f'{metric}_high': high}
                others = {'other_recall': float(hit[~cold].mean()), 'recall': float(hit.mean())}
                records.append({**record, **others, 'chance': chance})
    return records
