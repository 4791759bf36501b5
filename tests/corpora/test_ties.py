import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from llmrec_jax.corpora.raw_events import TIES, time_order

USER = np.asarray([1, 0, 1, 1, 0, 1])
TIME = np.asarray([5, 9, 2, 5, 9, 5])
ITEM = ['c', 'x', 'z', 'a', 'b', 'b']


def test_file_order_is_a_stable_sort():
    assert time_order(USER, TIME, ITEM, 'file_order', 0).tolist() == [1, 4, 2, 0, 3, 5]


def test_item_id_sorts_ties_by_the_sources_id():
    assert time_order(USER, TIME, ITEM, 'item_id', 0).tolist() == [4, 1, 2, 3, 5, 0]


def test_item_id_does_not_depend_on_the_order_of_the_file():
    shuffle = np.asarray([3, 1, 5, 0, 2, 4])
    items = [ITEM[row] for row in shuffle]
    order = time_order(USER[shuffle], TIME[shuffle], items, 'item_id', 0)
    assert [items[row] for row in order] == ['b', 'x', 'z', 'a', 'b', 'c']


def test_shuffled_follows_its_seed():
    same_time = np.zeros(50, np.int64)
    items = [str(row) for row in range(50)]
    orders = [time_order(same_time, same_time, items, 'shuffled', seed).tolist() for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[2]) == list(range(50))


@pytest.mark.parametrize('ties', TIES)
@given(events=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.sampled_from('abc')), max_size=12))
def test_every_rule_sorts_by_user_and_then_time(ties, events):
    user, time = (np.asarray([event[column] for event in events], np.int64) for column in (0, 1))
    order = time_order(user, time, [event[2] for event in events], ties, 7)
    assert sorted(order.tolist()) == list(range(len(events)))
    keys = [(user[row], time[row]) for row in order]
    assert keys == sorted(keys)
