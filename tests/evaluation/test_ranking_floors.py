import math

import numpy as np
import pytest

from llmrec_jax.evaluation.baselines.counted import fit_baselines
from llmrec_jax.evaluation.baselines.item_names import candidate_baselines, catalogue_baselines
from tests.evaluation.ranking_cases import ranking_cases

# Item 0 occurs four times, item 1 three times; 2 follows 3 each time.
TRAIN = [[0, 1, 3, 2], [0, 1, 4], [0, 3, 2], [1, 0]]
N_ITEMS = 6


@pytest.fixture
def floors():
    return fit_baselines(ranking_cases(TRAIN, [0] * len(TRAIN)).histories, N_ITEMS)


def _metrics(estimates):
    return {name: each.metrics() for name, each in estimates.items()}


def test_floors_over_the_catalogue_equal_those_worked_by_hand(floors):
    found = _metrics(catalogue_baselines(floors, ranking_cases([[3], [1]], [2, 0]), ks=(1, 2)))
    fitted = {'popularity', 'item_knn', 'markov', 'decayed_markov'}
    assert found.keys() == {*fitted, *(f'{name}_seen_removed' for name in fitted), 'chance'}
    # Popularity has 0 first, and three before 2; to Markov 2 follows 3, and 1 leads to 0, 3 and 4 alike.
    assert found['popularity'] == {'hit_rate@1': 0.5, 'hit_rate@2': 0.5, 'ndcg@1': 0.5, 'ndcg@2': 0.5}
    assert found['markov']['hit_rate@1'] == 1.0
    # Without item 1, which the second user had, 0 is still the most popular.
    assert found['popularity_seen_removed']['hit_rate@2'] == 0.5
    assert found['chance'] == {
        'hit_rate@1': pytest.approx(1 / 6),
        'hit_rate@2': pytest.approx(2 / 6),
        'ndcg@1': pytest.approx(1 / 6),
        'ndcg@2': pytest.approx((1 + 1 / math.log2(3)) / 6),
    }


def test_within_candidates_only_they_are_ranked_and_the_names_say_so(floors):
    cases = ranking_cases([[3], [3]], [2, 5])
    found = _metrics(candidate_baselines(floors, cases, np.array([[4, 2, 5], [5, 4, 2]]), ks=(1, 3)))
    assert found['popularity'] == {
        'hit_rate@1_of_3': 0.5,
        'hit_rate@3_of_3': 1.0,
        'ndcg@1_of_3': 0.5,
        'ndcg@3_of_3': pytest.approx((1 + 0.5) / 2),
    }
    assert found['markov']['hit_rate@1_of_3'] == 0.5
    assert found['chance']['hit_rate@3_of_3'] == 1.0


def test_equal_scores_count_against_the_target(floors):
    # Nobody had item 5, and neither had its twin: no floor may put the target first for want of a difference.
    twins = fit_baselines(ranking_cases(TRAIN, [0] * len(TRAIN)).histories, N_ITEMS + 1)
    found = _metrics(candidate_baselines(twins, ranking_cases([[0]], [5]), np.array([[5, 6]]), ks=(1, 2)))
    for name in ('popularity', 'item_knn', 'markov', 'decayed_markov'):
        assert found[name]['hit_rate@1_of_2'] == 0.0 and found[name]['hit_rate@2_of_2'] == 1.0


def test_more_cases_than_a_batch_holds_are_ranked_alike(floors, monkeypatch):
    rng = np.random.default_rng(0)
    target = rng.integers(0, N_ITEMS, 30)
    cases = ranking_cases([[int(item)] for item in rng.integers(0, N_ITEMS, 30)], target.tolist())
    candidates = np.stack([target, (target + 1) % N_ITEMS, (target + 3) % N_ITEMS], axis=1)
    whole = _metrics(candidate_baselines(floors, cases, candidates))
    monkeypatch.setattr('llmrec_jax.evaluation.baselines.item_names._SCORES_AT_ONCE', 4 * N_ITEMS)
    assert _metrics(candidate_baselines(floors, cases, candidates)) == whole


@pytest.mark.parametrize(('candidates', 'times'), [([[1, 3]], 0), ([[2, 2]], 2)])
def test_candidates_without_the_target_are_refused(floors, candidates, times):
    with pytest.raises(ValueError, match=f'case 0 offers its target {times} times, not once'):
        candidate_baselines(floors, ranking_cases([[3]], [2]), np.array(candidates))
