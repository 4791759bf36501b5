"""Scores of several systems added up, each on the scale of log-probabilities."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.special import log_softmax

from llmrec_jax.corpora.splits import RankingCases, Sequences
from llmrec_jax.evaluation.metrics import mean_over_cases, ndcg_at_k
from llmrec_jax.evaluation.recommendations import from_dense
from llmrec_jax.evaluation.recommender import DenseRecommender, case_batches

# Cases whose scores of all parts are held at once.
CASES_AT_ONCE = 256


class SummedScores(DenseRecommender):
    """Adds what two systems say of every item: log-probabilities, the second's times a weight.

    Scores that are no log-probabilities become such by a softmax over the catalogue, which changes no
    system's own ranking.

    Attributes:
      n_items: size of the catalogue.
    """

    def __init__(self, first: DenseRecommender, second: DenseRecommender, weight: float):
        """Takes the parts.

        Args:
          first: a system.
          second: another, of the same catalogue.
          weight: of the second; 0 leaves it out.

        Raises:
          ValueError: when the catalogues differ in size.
        """
        if first.n_items != second.n_items:
            raise ValueError(
                f'one system ranks {first.n_items} items and the other {second.n_items}: only systems of one '
                'catalogue can be added up'
            )
        self.n_items = first.n_items
        self._parts, self._weight = (first, second), weight

    def scores(self, histories: Sequences) -> Float[np.ndarray, 'cases items']:
        """See `DenseRecommender.scores`."""
        first, second = (log_softmax(part.scores(histories), axis=1) for part in self._parts)
        return first + self._weight * second


def best_weight(
    first: DenseRecommender,
    second: DenseRecommender,
    cases: RankingCases,
    weights: Sequence[float],
    *,
    seen_items: str,
    k: int = 10,
) -> dict[float, float]:
    """NDCG of the sum by the weight of the second part, best first.

    Args:
      first: a system.
      second: another.
      cases: to choose on, which are not those that are reported.
      weights: to choose from.
      seen_items: 'kept' or 'removed'.
      k: cut-off.
    """
    ranks: dict[float, list[np.ndarray]] = {weight: [] for weight in weights}
    for batch in case_batches(cases, CASES_AT_ONCE):
        one, other = (log_softmax(part.scores(batch.histories), axis=1) for part in (first, second))
        for weight in weights:
            summed = one + weight * other
            if seen_items == 'removed':
                rows = np.repeat(np.arange(len(batch)), batch.histories.lengths)
                summed[rows, batch.histories.values] = -np.inf
            ranks[weight].append(from_dense(summed, batch.target, k).target_rank)
    found = {
        weight: float(mean_over_cases(ndcg_at_k(np.concatenate(parts), k))) for weight, parts in ranks.items()
    }
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))
