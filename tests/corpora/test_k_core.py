import itertools

import hypothesis.strategies as st
import numpy as np
from hypothesis import given

from llmrec_jax.corpora.raw_events import k_core

edges = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=9)


def columns(events: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray([user for user, _ in events], np.int64), np.asarray(
        [item for _, item in events], np.int64
    )


def everyone_has_enough(events: list[tuple[int, int]], k: int) -> bool:
    users, items = columns(events)
    return all(np.bincount(column)[column].min() >= k for column in (users, items)) if events else True


@given(edges, st.integers(1, 3))
def test_it_is_the_largest_set_in_which_everyone_has_enough(events, k):
    kept = k_core(*columns(events), k)
    core = list(itertools.compress(events, kept))
    assert everyone_has_enough(core, k)
    # Every set with the property, tried one by one, lies inside it: so it is the largest, and the only one.
    for chosen in itertools.product([False, True], repeat=len(events)):
        if everyone_has_enough(list(itertools.compress(events, chosen)), k):
            assert (np.asarray(chosen, bool) <= kept).all()


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=80), st.integers(1, 5))
def test_the_core_of_a_core_is_itself(events, k):
    users, items = columns(events)
    kept = k_core(users, items, k)
    assert k_core(users[kept], items[kept], k).all()


def test_dropping_goes_on_until_nothing_is_left_to_drop():
    # Each drop takes the next one with it along the path u0-i0-u1-i1-u2.
    users, items = columns([(0, 0), (1, 0), (1, 1), (2, 1)])
    assert not k_core(users, items, 2).any()
