import doctest

import numpy as np
import pytest

from llmrec_jax.evaluation import metrics
from llmrec_jax.evaluation.recommendations import from_dense


def test_metrics_equal_their_formulas():
    ranks = np.array([1, 2, 5, 6, 0])
    named = metrics.case_metrics(ranks, (5,))
    assert named['recall@5'].mean() == pytest.approx(3 / 5)
    assert named['ndcg@5'].mean() == pytest.approx((1 + 1 / np.log2(3) + 1 / np.log2(6)) / 5)
    assert named['mrr@5'].mean() == pytest.approx((1 + 1 / 2 + 1 / 5) / 5)


def test_a_constant_scorer_gets_nothing_and_an_oracle_everything():
    targets = np.arange(20)
    constant = from_dense(np.zeros((20, 30)), targets, 10).target_rank
    oracle = from_dense(np.eye(20, 30), targets, 10).target_rank
    for name, values in metrics.case_metrics(constant, (1, 5, 10)).items():
        assert values.sum() == 0, name
    for name, values in metrics.case_metrics(oracle, (1, 5, 10)).items():
        assert (values == 1).all(), name


def test_the_examples_of_the_docstring_hold():
    assert doctest.testmod(metrics).failed == 0


@pytest.mark.parametrize(('ranks', 'k'), [([1], 0), ([-1], 5)])
def test_impossible_ranks_and_cutoffs_are_refused(ranks, k):
    with pytest.raises(ValueError, match='must be at least 1|is negative'):
        metrics.recall_at_k(np.array(ranks), k)
