"""The floors reach on real data what an independent computation reached (papers.md, section 0.4)."""

import numpy as np
import pytest

from llmrec_jax.evaluation.baselines.counted import fit_baselines
from llmrec_jax.evaluation.metrics import case_metrics
from tests.evaluation.amazon_beauty import splits_or_skip

COLUMNS = ('recall@5', 'ndcg@5', 'recall@10', 'ndcg@10')
SEEN_REMOVED = {
    'popularity': (0.0075, 0.0041, 0.0115, 0.0055),
    'item_knn': (0.0394, 0.0270, 0.0568, 0.0326),
    'markov': (0.0514, 0.0389, 0.0668, 0.0439),
    'decayed_markov': (0.0559, 0.0416, 0.0758, 0.0480),
}


@pytest.fixture(scope='module')
def beauty():
    splits, n_items = splits_or_skip()
    return fit_baselines(splits.train, n_items), splits.test


@pytest.mark.slow
@pytest.mark.parametrize(
    'name',
    [pytest.param(name, marks=[pytest.mark.slow] if name == 'item_knn' else []) for name in SEEN_REMOVED],
)
def test_floors_equal_the_independent_computation(beauty, name):
    floors, cases = beauty
    ranks = floors[name].recommend(cases, 10, seen_items='removed').target_rank
    measured = case_metrics(ranks, (5, 10))
    # The independent computation broke ties by the published ids, which favours popular items a little.
    np.testing.assert_allclose([measured[c].mean() for c in COLUMNS], SEEN_REMOVED[name], atol=0.001)


@pytest.mark.slow
def test_keeping_seen_items_costs_decayed_markov_what_was_published(beauty):
    floors, cases = beauty
    ranks = floors['decayed_markov'].recommend(cases, 10, seen_items='kept').target_rank
    assert case_metrics(ranks, (10,))['ndcg@10'].mean() == pytest.approx(0.0447, abs=0.001)
