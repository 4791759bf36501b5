import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrec_jax.semantic_ids.collisions import collision_rate, resolve, shares_prefix


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=12), st.booleans())
def test_every_item_gets_a_tuple_of_its_own_numbered_in_item_order(rows, with_capacity):
    codes = np.array(rows, np.int32)
    resolved, sizes = resolve(codes, (3, 4), capacity=20 if with_capacity else None)
    np.testing.assert_array_equal(resolved[:, :2], codes)
    seen: dict[tuple, int] = {}
    for row in resolved:
        prefix = tuple(row[:2])
        assert row[2] == seen.get(prefix, 0)
        seen[prefix] = seen.get(prefix, 0) + 1
    assert sizes == (3, 4, 20 if with_capacity else max(seen.values()))


def test_unique_codes_get_zero_on_a_level_of_one():
    resolved, sizes = resolve(np.array([[0, 1], [1, 0]], np.int32), (2, 2))
    assert resolved[:, 2].tolist() == [0, 0]
    assert sizes == (2, 2, 1)


def test_overflow_names_the_tuple_the_count_and_the_cure():
    codes = np.array([[1, 2]] * 3 + [[0, 0]], np.int32)
    with pytest.raises(ValueError, match=r'3 items.*\(1, 2\).* 2.*capacity'):
        resolve(codes, (3, 3), capacity=2)


def test_codebooks_too_small_for_the_catalogue():
    codes = np.zeros((10, 2), np.int32)
    with pytest.raises(ValueError, match=r'9 tuples for 10 items'):
        resolve(codes, (3, 3))
    with pytest.raises(ValueError, match='codebook too small'):
        resolve(codes, (2, 2), capacity=2)
    with pytest.raises(ValueError, match='-1'):
        resolve(codes, (4, 4), capacity=-1)


def test_codes_that_are_all_different_need_no_level_and_others_have_one_named():
    codes = np.array([[0, 1], [1, 0], [1, 1]], np.int32)
    resolved, sizes = resolve(codes, (2, 2), capacity=0)
    np.testing.assert_array_equal(resolved, codes)
    assert sizes == (2, 2)
    with pytest.raises(ValueError, match=r'2 items.*\(1, 1\).*TokenLayout.codebook_sizes'):
        resolve(np.array([[1, 1], [1, 1], [0, 0]], np.int32), (2, 2), capacity=0)


def test_codes_outside_their_codebook_name_the_item():
    with pytest.raises(ValueError, match='item 1 .*code 5 .*level 1'):
        resolve(np.array([[0, 0], [0, 5]], np.int32), (2, 5))


def test_collision_rate_counts_items_not_tuples():
    codes = np.array([[0, 0], [0, 0], [0, 0], [1, 0], [1, 1]])
    assert collision_rate(codes) == pytest.approx(3 / 5)
    assert shares_prefix(codes, 1).all()
    assert shares_prefix(codes, 2).tolist() == [True, True, True, False, False]
