import numpy as np
import pytest
import scipy.stats

from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.metrics import case_metrics


def ranks(seed, users=800):
    return np.random.default_rng(seed).integers(0, 40, size=users)


def test_intervals_equal_those_of_scipys_bootstrap():
    values = case_metrics(ranks(0), (5, 10))
    ours = Bootstrap(resamples=5000, seed=1).intervals(np.stack(list(values.values()), axis=1))
    for (low, high), column in zip(ours, values.values()):
        theirs = scipy.stats.bootstrap(
            (column,), np.mean, n_resamples=5000, method='percentile', rng=np.random.default_rng(2)
        ).confidence_interval
        width = theirs.high - theirs.low
        assert low == pytest.approx(theirs.low, abs=0.06 * width)
        assert high == pytest.approx(theirs.high, abs=0.06 * width)


def test_intervals_hold_the_true_mean_as_often_as_they_say():
    truth, held = 0.1, 0
    for seed in range(300):
        values = (np.random.default_rng(seed).random((400, 1)) < truth).astype(float)
        low, high = Bootstrap(resamples=400, confidence=0.9, seed=seed).intervals(values)[0]
        held += low <= truth <= high
    assert 0.84 <= held / 300 <= 0.95


def test_identical_systems_do_not_differ():
    values = case_metrics(ranks(0), (10,))['ndcg@10']
    found = Bootstrap().compare(values, values)
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_a_paired_comparison_sees_what_separate_intervals_hide():
    better = case_metrics(ranks(0), (10,))['recall@10']
    worse = better.copy()
    worse[np.flatnonzero(better)[:12]] = 0
    bootstrap = Bootstrap(resamples=1000)
    ends = bootstrap.intervals(np.stack([better, worse], axis=1))
    assert ends[0, 0] < ends[1, 1], 'the separate intervals overlap'
    found = bootstrap.compare(better, worse)
    assert found.difference == pytest.approx(12 / 800)
    assert found.low > 0
    assert found.p_value == pytest.approx(2 / 1001)
    turned = bootstrap.compare(worse, better)
    assert (turned.difference, turned.high) == (pytest.approx(-12 / 800), pytest.approx(-found.low))


def test_p_values_are_uniform_enough_where_nothing_differs():
    p_values = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        one, other = (rng.random((2, 300)) < 0.3).astype(float)
        p_values.append(Bootstrap(resamples=300, seed=seed).compare(one, other).p_value)
    assert 0.01 <= np.mean(np.array(p_values) < 0.05) <= 0.11
    assert 0.38 <= np.mean(np.array(p_values) < 0.5) <= 0.62


def test_the_seed_decides_everything():
    values = case_metrics(ranks(0), (10,))['ndcg@10'][:, None]
    one, same, other = (Bootstrap(resamples=50, seed=seed).means(values) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match='no users'):
        Bootstrap().intervals(np.zeros((0, 1)))
    with pytest.raises(ValueError, match='user 1 are not finite'):
        Bootstrap().intervals(np.array([[0.0], [np.nan]]))
    with pytest.raises(ValueError, match=r'Bootstrap\.resamples'):
        Bootstrap(resamples=0)
    with pytest.raises(ValueError, match=r'Bootstrap\.confidence'):
        Bootstrap(confidence=95.0)
