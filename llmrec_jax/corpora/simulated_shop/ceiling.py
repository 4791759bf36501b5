"""The best that any recommender can reach on the simulated shop, computed from its law.

Ranking all items by P(next | history) maximises the expected recall@k and ndcg@k of every case at once. Items
already bought have probability zero, so the best ranking leaves them last by itself: the ceiling is the same
whether a protocol keeps or removes seen items.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.corpora.simulated_shop.law import NextItemLaw
from llmrec_jax.corpora.splits import RankingCases, Sequences

_PROBABILITIES_AT_ONCE = 8_000_000


def ceiling(law: NextItemLaw, cases: RankingCases, ks: Sequence[int]) -> dict[str, float]:
    """Expected recall@k and ndcg@k of the best ranking, averaged over the cases.

    With p_(1) >= p_(2) >= ... the predictive probabilities of a case in descending order, its recall@k is
    sum_{r <= k} p_(r) and its ndcg@k is sum_{r <= k} p_(r) / log2(r + 1). The targets are not looked at: the
    value is the expectation over what the users may buy next, free of the luck of one draw.

    Args:
      law: what is bought next.
      cases: whose histories to average over.
      ks: cut-offs, each at least 1.

    Returns:
      'recall@k' and 'ndcg@k' for each k.

    Raises:
      ValueError: where there are no cases, or a cut-off is below 1.
    """
    _check(cases, ks)
    depth = min(max(ks), law.n_items)
    mass = np.zeros(depth)
    for _, probabilities in _in_batches(law, cases.histories):
        best = np.partition(probabilities, law.n_items - depth, axis=1)[:, law.n_items - depth :]
        mass += np.sort(best, axis=1)[:, ::-1].sum(axis=0)
    return _by_cutoff(mass / len(cases), ks)


@dataclasses.dataclass(frozen=True)
class BayesRecommender:
    """The recommender that reaches the ceiling in expectation: it ranks by the law itself.

    Attributes:
      law: what is bought next.
    """

    law: NextItemLaw

    def predictive(self, histories: Sequences) -> Float[np.ndarray, 'cases items']:
        """P(next item | history) for every item."""
        return self.law.predictive(histories)

    def target_ranks(self, cases: RankingCases) -> Int[np.ndarray, 'cases']:
        """Rank of each case's target, from 1; items as probable as the target count as ranked before it."""
        ranks = np.empty(len(cases), np.int64)
        for rows, probabilities in _in_batches(self.law, cases.histories):
            of_target = np.take_along_axis(probabilities, cases.target[rows][:, None], axis=1)
            ranks[rows] = (probabilities >= of_target).sum(axis=1)
        return ranks

    def attained(self, cases: RankingCases, ks: Sequence[int]) -> dict[str, float]:
        """Recall@k and ndcg@k on the targets that were drawn; scatters around `ceiling` by luck."""
        _check(cases, ks)
        ranks = self.target_ranks(cases)
        depth = max(ks)
        return _by_cutoff(np.bincount(ranks[ranks <= depth], minlength=depth + 1)[1:] / len(cases), ks)


def _check(cases: RankingCases, ks: Sequence[int]) -> None:
    if not len(cases):
        raise ValueError('simulated_shop: no cases to average the ceiling over')
    if not ks or min(ks) < 1:
        raise ValueError(f'simulated_shop: cut-offs must be at least 1, not {list(ks)}')


def _by_cutoff(mass: Float[np.ndarray, 'depth'], ks: Sequence[int]) -> dict[str, float]:
    """Metrics from the chance that the target stands at each rank."""
    discounted = mass / np.log2(np.arange(len(mass)) + 2)
    return {f'recall@{k}': float(mass[:k].sum()) for k in ks} | {
        f'ndcg@{k}': float(discounted[:k].sum()) for k in ks
    }


def _in_batches(
    law: NextItemLaw, histories: Sequences
) -> Iterator[tuple[slice, Float[np.ndarray, 'cases items']]]:
    """Predictive distributions in batches of bounded memory."""
    batch = max(1, _PROBABILITIES_AT_ONCE // law.n_items)
    for start in range(0, len(histories), batch):
        rows = slice(start, min(start + batch, len(histories)))
        offsets = histories.offsets[start : rows.stop + 1]
        values = histories.values[offsets[0] : offsets[-1]]
        yield rows, law.predictive(Sequences(values, offsets - offsets[0]))
