"""Unseen items by prefix and by text, worked by hand."""

import numpy as np
import pytest

from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.unseen_items import nearest_texts, quota_curves, quota_ranks, with_prefix_matches
from tests.evaluation.ranking_cases import ranking_cases

# Items 1, 3 and 4 are unseen; 0, 1 and 4 share both codes.
CODES = np.array([[0, 0], [0, 0], [0, 1], [2, 2], [0, 0]])
UNSEEN = np.array([False, True, False, True, True])


def test_unseen_items_follow_the_first_that_has_their_codes():
    items = np.array([[2, 0, -1], [0, 4, 2]])
    cases = ranking_cases([[0, 4], [2]], [1, 1])
    both = with_prefix_matches(items, CODES, UNSEEN, cases, seen_items='kept')
    np.testing.assert_array_equal(both, [[2, 0, 1, 4], [0, 1, 4, 2]])
    first = with_prefix_matches(items, CODES[:, :1], UNSEEN, cases, seen_items='kept')
    np.testing.assert_array_equal(first, [[2, 1, 4, 0], [0, 1, 4, 2]])
    removed = with_prefix_matches(items, CODES, UNSEEN, cases, seen_items='removed')
    np.testing.assert_array_equal(removed, [[2, 0, 1, -1], [0, 1, 4, 2]])


@pytest.mark.parametrize(
    ('quota', 'k', 'expected'),
    [
        # Of four slots none, one, two, all may be unseen: items 1, 4 and 3 in this order.
        (0.0, 4, [1, 0, 0, 0, 2]),
        (0.25, 4, [1, 2, 0, 0, 3]),
        (0.5, 4, [1, 2, 3, 0, 4]),
        (1.0, 4, [1, 2, 3, 0, 4]),
        (1.0, 5, [1, 2, 3, 5, 4]),
        # A third of two is none.
        (1 / 3, 2, [1, 0, 0, 0, 2]),
        # The share is a product of floats: three tenths of ten are three.
        (0.3, 10, [1, 2, 3, 5, 4]),
    ],
)
def test_unseen_items_beyond_the_quota_are_passed_over(quota, k, expected):
    items = np.tile(np.array([0, 1, 4, 2, 3, -1]), (5, 1))
    found = quota_ranks(items, UNSEEN, np.array([0, 1, 4, 3, 2]), k, quota)
    np.testing.assert_array_equal(found, expected)


def test_the_nearest_texts_of_either_kind_stand_in_one_order():
    vectors = np.array([[1, 0], [2, 0.1], [1, 1], [0, 3], [1, 0.3]], np.float32)
    cases = ranking_cases([[2, 0], [2]], [1, 1])
    kept = nearest_texts(vectors, cases, 2, 'last_item', UNSEEN, seen_items='kept')
    np.testing.assert_array_equal(kept, [[0, 1, 4, 2], [2, 4, 1, 0]])
    removed = nearest_texts(vectors, cases, 2, 'last_item', UNSEEN, seen_items='removed')
    np.testing.assert_array_equal(removed, [[1, 4, -1, -1], [4, 1, 0, -1]])


def test_curves_hold_the_better_rival_against_each_system():
    targets = np.array([1, 1, 4, 0])
    by_prefix = np.tile(np.array([0, 1, 4]), (4, 1))
    rivals = {'none': np.full((4, 3), 2), 'last': np.tile(np.array([2, 4, 0]), (4, 1))}
    points = quota_curves(
        {'ours': by_prefix}, rivals, UNSEEN, targets, (2,), (0.0, 0.5), Bootstrap(resamples=50)
    )
    found = {(point['system'], point['quota']): point for point in points}
    assert len(found) == 6
    assert found['ours', 0.0]['unseen_recall'] == found['ours', 0.0]['above_rival'] == 0
    ours = found['ours', 0.5]
    assert ours['unseen_recall'] == pytest.approx(2 / 3)
    assert ours['above_rival'] == pytest.approx(1 / 3)
    assert (ours['other_recall'], ours['recall']) == (1.0, 0.75)
    assert ours['unseen_recall_low'] <= 2 / 3 <= ours['unseen_recall_high']
    assert found['last', 0.5]['unseen_recall'] == pytest.approx(1 / 3)
    assert 'above_rival' not in found['last', 0.5]
    # One unseen item of three in each list.
    assert ours['chance'] == pytest.approx(1 / 3) and found['ours', 0.0]['chance'] == 0


def test_without_unseen_targets_there_is_nothing_to_measure():
    lists = {'ours': np.zeros((2, 1), np.int64)}
    with pytest.raises(ValueError, match='0 of 2 test targets'):
        quota_curves(lists, lists, UNSEEN, np.array([0, 2]), (1,), (1.0,), Bootstrap(resamples=5))
