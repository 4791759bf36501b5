import numpy as np
import pytest

from llmrec_jax.evaluation.code_levels import code_levels

CODES = np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0], [1, 1, 1]])


def test_levels_tell_where_the_first_item_goes_wrong():
    # The targets are 1, 1, 4; the first items share with them two codes, none but the second, and all.
    items = np.array([[0, 3, 2], [3, 0, 1], [4, 2, -1]])
    found = code_levels(items, np.array([1, 1, 4]), CODES, k=2)
    assert [level['level'] for level in found] == [0, 1, 2]
    assert [level['hit'] for level in found] == pytest.approx([1, 1, 1 / 3])
    assert [level['right_after_right'] for level in found] == pytest.approx([2 / 3, 1, 1 / 2])
    assert found[0]['right_after_wrong'] is None
    assert [level['right_after_wrong'] for level in found[1:]] == [1, 0]


def test_hits_of_a_prefix_need_one_item_that_has_all_of_it():
    # The first listed item has the target's first code, the second its second.
    [_, second, _] = code_levels(np.array([[2, 3]]), np.array([0]), CODES, k=2)
    assert second['hit'] == 0


def test_an_empty_list_hits_nothing():
    found = code_levels(np.array([[-1, -1]]), np.array([4]), CODES, k=2)
    assert [level['hit'] for level in found] == [0, 0, 0]
    assert found[0]['right_after_right'] == 0


def test_items_that_share_all_learned_codes_inflate_the_hits_of_codes_alone():
    codes = np.array([[0, 0], [0, 1], [0, 2], [0, 3]])
    found = code_levels(np.array([[0], [0], [0], [0]]), np.arange(4), codes, k=1)
    assert [level['hit'] for level in found] == [1, 0.25]
