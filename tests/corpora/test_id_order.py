"""Whether an order of ties follows ids."""

import numpy as np
import pytest

from llmrec_jax.corpora.id_order import follows_ids, tied_neighbours, tied_share


def found(user, time, item_ids) -> bool:
    user, time = np.asarray(user), np.asarray(time)
    distinct = list(dict.fromkeys(item_ids))
    item = np.asarray([distinct.index(one) for one in item_ids])
    order = np.lexsort((time, user))
    return follows_ids(user, item, distinct, order, tied_neighbours(user[order], time[order]))


def listed(rng, rule, users=40, each=12, seconds=3):
    """Rows of a file that lists users one after the other, each one's items by the rule."""
    rows = []
    for user in range(users):
        items = rng.choice(500, each, replace=False)
        rows += [(user, int(rng.integers(seconds)), str(item)) for item in rule(items)]
    return map(list, zip(*rows))


@pytest.mark.parametrize(
    'rule', [sorted, lambda items: sorted(items, reverse=True), lambda items: sorted(items, key=str)]
)
def test_a_file_sorted_by_id_is_told(rule):
    assert found(*listed(np.random.default_rng(0), rule))


def test_a_file_in_random_order_is_not():
    assert not any(found(*listed(np.random.default_rng(seed), list)) for seed in range(30))


def test_without_ties_the_order_of_the_file_does_not_matter():
    assert not found([0, 0, 0, 1, 1], [1, 2, 3, 1, 2], ['1', '2', '3', '4', '5'])


def test_a_small_file_is_told_by_the_order_of_all_its_events():
    assert found([0, 0, 0, 1], [5, 5, 6, 9], ['2', '10', '30', '1'])
    assert not found([0, 0, 0, 1], [5, 5, 6, 9], ['2', '10', '3', '1'])


def test_a_file_that_mostly_follows_ids_is_told():
    def mostly(items):
        items = sorted(items)
        return [*items[6:], *items[:6]]

    assert found(*listed(np.random.default_rng(0), mostly))


def test_the_share_of_ties():
    neighbours = tied_neighbours(np.asarray([0, 0, 0, 1, 1]), np.asarray([3, 3, 4, 4, 4]))
    assert neighbours.tolist() == [True, False, False, True]
    assert tied_share(neighbours) == 0.8
    assert tied_share(tied_neighbours(np.zeros(1, int), np.zeros(1, int))) == 0.0
