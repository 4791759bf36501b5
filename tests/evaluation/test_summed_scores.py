"""The sum of two systems' scores, and the weight that validation chooses."""

import numpy as np
import pytest

from llmrec_jax.corpora.splits import RankingCases, Sequences
from llmrec_jax.evaluation.recommender import DenseRecommender
from llmrec_jax.evaluation.summed_scores import SummedScores, best_weight

CASES, N = 300, 12


class Fixed(DenseRecommender):
    """Scores by what each history's only item is."""

    def __init__(self, table):
        self.n_items, self._table = table.shape[1], table

    def scores(self, histories):
        return self._table[histories.values].copy()


@pytest.fixture(scope='module')
def systems():
    """Two systems that each know the target's score with noise of their own, and the cases."""
    rng = np.random.default_rng(0)
    last = rng.integers(0, N, CASES)
    follows = rng.permutation(N)
    cases = RankingCases(np.arange(CASES), Sequences(last, np.arange(CASES + 1)), follows[last])
    known = 3.0 * (np.arange(N)[None, :] == follows[:, None])
    return Fixed(known + rng.normal(0, 2, (N, N))), Fixed(5 + 7 * rng.normal(0, 1, (N, N))), cases


def test_scales_of_the_parts_do_not_matter(systems):
    first, second, cases = systems
    shifted = Fixed(second._table - 1000.0)
    np.testing.assert_allclose(
        SummedScores(first, second, 0.5).scores(cases.histories),
        SummedScores(first, shifted, 0.5).scores(cases.histories),
    )
    alone = SummedScores(first, second, 0.0).recommend(cases, 5, seen_items='removed')
    np.testing.assert_array_equal(alone.items, first.recommend(cases, 5, seen_items='removed').items)


@pytest.mark.parametrize('seen_items', ['kept', 'removed'])
def test_each_weight_is_judged_as_the_sum_is(systems, seen_items):
    first, second, cases = systems
    found = best_weight(first, second, cases, (4.0, 0.0, 0.5), seen_items=seen_items, k=3)
    assert list(found.values()) == sorted(found.values(), reverse=True)
    # The second part is noise.
    assert next(iter(found)) == 0.0 and found.keys() == {0.0, 0.5, 4.0}
    ranks = SummedScores(first, second, 0.5).recommend(cases, 3, seen_items=seen_items).target_rank
    ndcg = np.where(
        (ranks > 0) & (ranks <= 3), 1 / np.log2(ranks + 1.0, where=ranks > 0, out=np.ones(CASES)), 0
    )
    assert found[0.5] == pytest.approx(ndcg.mean())


def test_catalogues_must_be_one(systems):
    with pytest.raises(ValueError, match='12 items and the other 11'):
        SummedScores(systems[0], Fixed(np.zeros((N, N - 1))), 1.0)
