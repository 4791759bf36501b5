"""Ranks a catalogue whose scores are the same for all cases but for some items of each.

A baseline that counts knows of a case only what occurred together with its history. All other items keep an
order that is common to many cases, so that nothing as large as cases times items is computed: what it costs
grows with what occurred, not with the catalogue.
"""

import abc
import dataclasses
import functools
from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int

from llmrec_jax.corpora.splits import RankingCases, Sequences
from llmrec_jax.evaluation.recommendations import ABSENT, Recommendations, concatenate
from llmrec_jax.evaluation.recommender import (
    SCORES_AT_ONCE,
    DenseRecommender,
    case_batches,
    check_question,
    rank_rows,
)

# Of one batch; what they have in common with the catalogue is held at once.
CASES_AT_ONCE = 256
# Where more of the scores differ from the common ones, whole rows of scores are ranked sooner.
SPARSE_SHARE = 0.02


@dataclasses.dataclass(frozen=True, eq=False)
class CommonScores:
    """A score of every item.

    Attributes:
      of_items: by item.
    """

    of_items: Float[np.ndarray, 'items']

    @functools.cached_property
    def order(self) -> Int[np.ndarray, 'items']:
        """The items, best first, equal ones in item order."""
        return np.argsort(-self.of_items, kind='stable')

    @functools.cached_property
    def position(self) -> Int[np.ndarray, 'items']:
        """Where each item stands in `order`."""
        position = np.empty(len(self.order), np.int64)
        position[self.order] = np.arange(len(self.order))
        return position

    @functools.cached_property
    def ascending(self) -> Float[np.ndarray, 'items']:
        """The scores from the lowest to the highest."""
        return self.of_items[self.order[::-1]]

    def at_least(self, scores: Float[np.ndarray, 'cases']) -> Int[np.ndarray, 'cases']:
        """How many items have each score or a higher one."""
        return len(self.ascending) - np.searchsorted(self.ascending, scores, 'left')


class SparseRecommender(DenseRecommender):
    """Ranks without computing every score; the answers are those of a `DenseRecommender` to the last bit."""

    @abc.abstractmethod
    def parts(
        self, cases: RankingCases
    ) -> Iterator[tuple[Int[np.ndarray, 'rows'], CommonScores, sp.csr_array | None]]:
        """Rows of cases with common scores, these, and what is added [rows, items]; None for nothing."""

    def recommend(self, cases: RankingCases, k: int, *, seen_items: str) -> Recommendations:
        """See `DenseRecommender.recommend`."""
        check_question(cases, seen_items)
        listed = min(k, self.n_items)
        items = np.full((len(cases), listed), ABSENT, np.int64)
        scores = np.full((len(cases), listed), -np.inf)
        ranks = np.zeros(len(cases), np.int64)
        for rows, common, added in self.parts(cases):
            asked = cases.select(rows)
            if added is not None and added.nnz > SPARSE_SHARE * len(rows) * self.n_items:
                found = _rank_whole_rows(common, added, asked, k, seen_items)
            else:
                seen = asked.histories if seen_items == 'removed' else None
                found = rank_sparse(common, added, asked.target, seen, listed)
            items[rows], scores[rows], ranks[rows] = found.items, found.scores, found.target_rank
        return Recommendations(items, scores, ranks)


def batch_rows(cases: RankingCases) -> Iterator[tuple[Int[np.ndarray, 'rows'], Sequences]]:
    """Rows of cases that are ranked at once, and their histories."""
    start = 0
    for batch in case_batches(cases, CASES_AT_ONCE):
        yield np.arange(start, start + len(batch)), batch.histories
        start += len(batch)


def _rank_whole_rows(
    common: CommonScores, added: sp.csr_array, cases: RankingCases, k: int, seen_items: str
) -> Recommendations:
    found, start = [], 0
    for batch in case_batches(cases, max(1, SCORES_AT_ONCE // len(common.of_items))):
        scores = added[start : start + len(batch)].toarray() + common.of_items
        found.append(rank_rows(scores, batch, k, seen_items))
        start += len(batch)
    return concatenate(found)


def rank_sparse(
    common: CommonScores,
    added: sp.csr_array | None,
    targets: Int[np.ndarray, 'cases'],
    seen: Sequences | None,
    k: int,
) -> Recommendations:
    """Ranks as `from_dense` does the sums of common and added scores.

    Args:
      common: scores of all items.
      added: to them, [cases, items]; None for nothing.
      targets: the true next items.
      seen: items that are removed from each case; None for none.
      k: length of the lists, at most the number of items.
    """
    n_cases, n_items = len(targets), len(common.of_items)
    if added is None:
        added = sp.csr_array((n_cases, n_items))
    rows, items = np.repeat(np.arange(n_cases), np.diff(added.indptr)), added.indices.astype(np.int64)
    totals = added.data + common.of_items[items]

    of_target = common.of_items[targets].copy()
    is_target = items == targets[rows]
    of_target[rows[is_target]] = totals[is_target]

    pairs = rows * n_items + items
    removed = np.zeros(0, np.int64)
    if seen is not None:
        removed = np.unique(np.repeat(np.arange(n_cases), seen.lengths) * n_items + seen.values)
        live = ~np.isin(pairs, removed)
        rows, items, totals = rows[live], items[live], totals[live]
    of_its_own_rows, of_its_own = np.divmod(np.union1d(pairs, removed), n_items)

    ranks = common.at_least(of_target)
    above = common.of_items[of_its_own] >= of_target[of_its_own_rows]
    ranks = ranks - np.bincount(of_its_own_rows[above], minlength=n_cases)
    ranks = ranks + np.bincount(rows[totals >= of_target[rows]], minlength=n_cases)
    ranks[np.isin(np.arange(n_cases) * n_items + targets, removed)] = 0

    rest, rest_scores = _best_of_the_rest(common, of_its_own_rows, of_its_own, n_cases, k)
    chosen = _may_be_listed(rows, totals, n_cases, k)
    rows = np.concatenate([rows[chosen], np.repeat(np.arange(n_cases), k)])
    items = np.concatenate([items[chosen], rest.ravel()])
    totals = np.concatenate([totals[chosen], rest_scores.ravel()])
    order = np.lexsort((items, -totals, rows))
    place = np.arange(len(order)) - np.searchsorted(rows[order], rows[order])
    best = order[place < k]
    listed, top_scores = items[best].reshape(n_cases, k), totals[best].reshape(n_cases, k)
    return Recommendations(np.where(np.isneginf(top_scores), ABSENT, listed), top_scores, ranks)


def _best_of_the_rest(
    common: CommonScores,
    rows: Int[np.ndarray, 'pairs'],
    items: Int[np.ndarray, 'pairs'],
    n_cases: int,
    k: int,
) -> tuple[Int[np.ndarray, 'cases k'], Float[np.ndarray, 'cases k']]:
    """The first `k` items in the common order that no pair of a case names; -inf beyond the last one."""
    n_items = len(common.order)
    taken = np.sort(rows * n_items + common.position[items])
    rows, positions = np.divmod(taken, n_items)
    # Before the m-th taken position of a case lie as many free ones; it pushes all later ones by one place.
    free_before = positions - (np.arange(len(taken)) - np.searchsorted(rows, rows))
    counts = np.zeros((n_cases, k), np.int64)
    near = free_before < k
    np.add.at(counts, (rows[near], free_before[near]), 1)
    places = np.arange(k) + np.cumsum(counts, axis=1)
    found = common.order[np.minimum(places, n_items - 1)]
    return found, np.where(places < n_items, common.of_items[found], -np.inf)


def _may_be_listed(
    rows: Int[np.ndarray, 'pairs'], scores: Float[np.ndarray, 'pairs'], n_cases: int, k: int
) -> Int[np.ndarray, 'chosen']:
    """Which pairs are among the `k` best of their case, or as good as the last of these."""
    ends = np.cumsum(np.bincount(rows, minlength=n_cases))
    chosen = np.ones(len(rows), bool)
    for start, end in zip(np.append(0, ends[:-1]), ends, strict=True):
        if end - start > k:
            of_case = scores[start:end]
            chosen[start:end] = of_case >= np.partition(of_case, -k)[-k]
    return np.flatnonzero(chosen)
