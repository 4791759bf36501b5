import numpy as np
import pytest

from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.catalogue_metrics import Catalogue
from llmrec_jax.evaluation.evaluator import Evaluator
from llmrec_jax.evaluation.per_user import PerUserResults
from llmrec_jax.evaluation.protocol import Protocol
from llmrec_jax.evaluation.recommender import DenseRecommender
from tests.evaluation.ranking_cases import ranking_cases

N_ITEMS = 30


class Oracle(DenseRecommender):
    """Knows that every target is the last item plus one."""

    n_items = N_ITEMS

    def scores(self, histories):
        last = histories.values[histories.offsets[1:] - 1]
        return np.eye(N_ITEMS)[last + 1]


class Constant(DenseRecommender):
    n_items = N_ITEMS

    def scores(self, histories):
        return np.full((len(histories), N_ITEMS), 0.5)


class Broken(DenseRecommender):
    n_items = N_ITEMS

    def scores(self, histories):
        return np.full((len(histories), N_ITEMS), np.nan)


CASES = ranking_cases([[i, i + 1] for i in range(20)], [i + 2 for i in range(20)])
EVALUATOR = Evaluator(Protocol(), Catalogue(np.ones(N_ITEMS)), Bootstrap(resamples=100))


def test_an_oracle_gets_one_and_a_constant_nothing():
    oracle = EVALUATOR.evaluate('oracle', Oracle(), CASES).as_dict()
    constant = EVALUATOR.evaluate('constant', Constant(), CASES).as_dict()
    for metric in ('recall@5', 'ndcg@5', 'mrr@5', 'recall@10', 'ndcg@10', 'mrr@10'):
        assert oracle[metric] == 1
        assert oracle['intervals'][metric] == [1, 1]
        assert constant[metric] == 0
    assert constant['coverage@10'] == pytest.approx(10 / N_ITEMS)
    assert oracle['users'] == 20
    assert oracle['users_per_second'] > 0


def test_the_seen_switch_reaches_the_system():
    cases = ranking_cases([[3, 4]], [3])
    assert Evaluator(Protocol(seen_items='kept')).evaluate('c', Constant(), cases).recommendations.items[
        0
    ].tolist() == list(range(10))
    removed = Evaluator(Protocol(seen_items='removed')).evaluate('c', Constant(), cases)
    assert not {3, 4} & set(removed.recommendations.items[0].tolist())


def test_an_error_names_the_system():
    with pytest.raises(ValueError, match=r"system 'broken': .*NaN"):
        EVALUATOR.evaluate('broken', Broken(), CASES)
    found = Oracle().recommend(CASES, 10, seen_items='kept')
    with pytest.raises(ValueError, match="system 'short' answered for 20 of 1 cases"):
        EVALUATOR.judge('short', found, CASES.select(np.array([0])), 1.0)


def test_every_pair_is_compared():
    systems = [
        EVALUATOR.evaluate(name, recommender, CASES)
        for name, recommender in (('oracle', Oracle()), ('constant', Constant()), ('again', Constant()))
    ]
    compared = {(c['system'], c['other'], c['metric']): c for c in EVALUATOR.compare(systems)}
    assert len(compared) == 3 * 2
    first = compared['oracle', 'constant', 'recall@10']
    assert (first['difference'], first['low'], first['high']) == (1, 1, 1)
    assert compared['constant', 'again', 'ndcg@10']['p_value'] == 1
    assert {c['seen_items'] for c in compared.values()} == {'kept'}


def test_per_user_results_come_back_as_they_were(tmp_path):
    systems = [EVALUATOR.evaluate('oracle', Oracle(), CASES), EVALUATOR.evaluate('c', Constant(), CASES)]
    path = tmp_path / 'per_user' / 'test.npz'
    PerUserResults.of(CASES, systems).save(path)
    loaded = PerUserResults.load(path)
    np.testing.assert_array_equal(loaded.user, CASES.user)
    np.testing.assert_array_equal(loaded.target, CASES.target)
    assert list(loaded.systems) == ['oracle', 'c']
    for system in systems:
        for column in ('items', 'scores', 'target_rank'):
            np.testing.assert_array_equal(
                getattr(loaded.systems[system.name], column), getattr(system.recommendations, column)
            )
    assert [file.name for file in path.parent.iterdir()] == ['test.npz']


def test_per_user_results_that_were_cut_short_are_named(tmp_path):
    path = tmp_path / 'test.npz'
    PerUserResults.of(CASES, [EVALUATOR.evaluate('oracle', Oracle(), CASES)]).save(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=r'test\.npz holds no per-user results'):
        PerUserResults.load(path)
