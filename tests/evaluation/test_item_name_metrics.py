import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec_jax.evaluation.item_name_metrics import (
    candidates_estimates,
    catalogue_estimates,
    rank_estimates,
    ranks_of_names,
    ranks_of_scores,
    scored_candidates_estimates,
)

NAMES = [f'item_{row}' for row in range(20)]


def test_metrics_equal_those_worked_by_hand():
    found = catalogue_estimates(
        ['item_1', 'item_2', 'item_3'],
        [
            ['item_1', 'item_4', 'item_5', 'item_6'],
            ['item_99', 'item_4', 'item_4', ' item_2'],
            ['item_5', 'item_6', 'item_7', 'item_8'],
        ],
        NAMES,
        ks=(1, 4),
    ).metrics()
    assert found == {
        'hit_rate@1': pytest.approx(1 / 3),
        'hit_rate@4': pytest.approx(2 / 3),
        'ndcg@1': pytest.approx(1 / 3),
        # What names no item and what is named twice keeps its place: item_2 stands fourth.
        'ndcg@4': pytest.approx((1 + 1 / math.log2(5)) / 3),
        'valid_id_rate': pytest.approx((1 + 3 / 4 + 1) / 3),
        'duplicate_rate': pytest.approx((0 + 1 / 4 + 0) / 3),
    }


def test_metrics_among_candidates_bear_their_number_in_every_name():
    found = candidates_estimates(
        ['item_1', 'item_2'],
        [['item_3', 'item_1'], ['item_9', 'item_2']],
        [NAMES[:5], NAMES[:5]],
        ks=(1, 2),
    ).metrics()
    assert found == {
        'hit_rate@1_of_5': 0.0,
        'hit_rate@2_of_5': 1.0,
        'ndcg@1_of_5': 0.0,
        'ndcg@2_of_5': pytest.approx(1 / math.log2(3)),
        # 'item_9' is an item, and no candidate.
        'valid_id_rate_of_5': 0.75,
        'duplicate_rate_of_5': 0.0,
    }


def test_answers_of_equal_score_count_against_the_target():
    answers = [['a', 'b', 'c', 'd']]
    assert ranks_of_names(['b'], answers, [[-1.0, -2.0, -2.0, -3.0]]).tolist() == [3]
    assert ranks_of_names(['b'], answers).tolist() == [2]
    assert ranks_of_scores(np.array([[0.5, 0.5, 0.1], [0.2, 0.1, 0.3]]), np.array([0, 2])).tolist() == [2, 1]


def test_a_case_without_answers_is_a_miss():
    found = catalogue_estimates(['item_1'], [[]], NAMES).metrics()
    assert found['hit_rate@10'] == found['valid_id_rate'] == found['duplicate_rate'] == 0


def test_scored_candidates_are_ranked_by_their_scores():
    scores = np.tile(np.linspace(1, 0, 10), (3, 1))
    found = scored_candidates_estimates(scores, np.array([0, 4, 9]), ks=(5,)).metrics()
    assert found == {
        'hit_rate@5_of_10': pytest.approx(2 / 3),
        'ndcg@5_of_10': pytest.approx((1 + 1 / math.log2(6)) / 3),
    }


def test_scores_that_are_all_alike_hit_nothing():
    assert scored_candidates_estimates(np.zeros((4, 10)), np.zeros(4, int), ks=(5,)).metrics() == {
        'hit_rate@5_of_10': 0.0, 'ndcg@5_of_10': 0.0,
    }  # fmt: skip


LISTS = st.lists(st.sampled_from([*NAMES[:6], 'nonsense', '']), max_size=6)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(NAMES[:6]), LISTS), min_size=1), st.randoms())
def test_metrics_lie_in_0_to_1_grow_with_k_and_ask_for_no_order(pairs, random):
    found = catalogue_estimates(*zip(*pairs), NAMES, ks=(1, 2, 5)).metrics()
    assert all(0 <= value <= 1 for value in found.values())
    assert found['hit_rate@1'] == found['ndcg@1'] <= found['ndcg@2'] <= found['ndcg@5'] <= found['hit_rate@5']
    random.shuffle(pairs)
    assert catalogue_estimates(*zip(*pairs), NAMES, ks=(1, 2, 5)).metrics() == found


@settings(max_examples=30)
@given(st.permutations(NAMES), st.sampled_from(NAMES))
def test_renaming_items_changes_nothing(renamed, target):
    answers = NAMES[3:9]
    new = dict(zip(NAMES, renamed))
    assert (
        catalogue_estimates([target], [answers], NAMES).metrics()
        == catalogue_estimates([new[target]], [[new[name] for name in answers]], renamed).metrics()
    )


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda: catalogue_estimates(['x'], [['x']], NAMES), "the target 'x' names no item of the catalogue"),
        (lambda: catalogue_estimates(NAMES[:2], [[]], NAMES), 'answers in 1 cases for 2 targets'),
        (lambda: catalogue_estimates([], [], NAMES), 'no examples'),
        (
            lambda: catalogue_estimates(NAMES[:1], [NAMES[:2]], NAMES, scores=[[0.1, 0.2]]),
            'scores that descend',
        ),
        (lambda: candidates_estimates(NAMES[:1], [[]], [NAMES[1:5]]), "'item_0' is none of its 4 candidates"),
        (
            lambda: candidates_estimates(NAMES[:2], [[], []], [NAMES[:4], NAMES[:5]]),
            'the same number of them',
        ),
        (
            lambda: scored_candidates_estimates(np.array([[np.nan, 1.0]]), np.array([0])),
            'score of case 0 is NaN',
        ),
        (lambda: rank_estimates(np.array([-1])), 'rank -1 is negative'),
    ],
)
def test_what_cannot_be_judged_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
