import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from llmrec_jax.corpora.event_rows import repeated_rows, runs, sorted_rows

# Times far apart do not fit one number with the user, and are ranked first.
times = st.integers(0, 3) | st.sampled_from([-(2**62), 2**62])
rows = st.lists(st.tuples(st.integers(0, 3), times, st.integers(0, 5)), max_size=20)


def columns(events, width=3):
    return [np.asarray([event[column] for event in events], np.int64) for column in range(width)]


@given(rows)
def test_rows_are_sorted_by_group_then_value_then_rank(events):
    group, value, rank = columns(events)
    assert sorted_rows(group, value).tolist() == np.lexsort((value, group)).tolist()
    # Equal in all three, rows may stand in any order.
    order = sorted_rows(group, value, rank)
    assert sorted(order.tolist()) == list(range(len(events)))
    assert [events[row] for row in order] == sorted(events)


@given(rows)
def test_a_row_that_comes_again_is_told_with_the_first_of_its_kind(events):
    expected, first = [], {}
    for row, event in enumerate(events):
        if first.setdefault(event, row) != row:
            expected.append((row, first[event]))
    again, of_kind = repeated_rows(*columns(events))
    assert list(zip(again.tolist(), of_kind.tolist())) == expected


def test_rows_that_are_mixed_to_one_number_are_not_taken_for_equal(monkeypatch):
    monkeypatch.setattr('llmrec_jax.corpora.event_rows._FACTORS', (1, 1))
    again, first = repeated_rows(np.asarray([0, 1, 2, 1, 0]), np.asarray([2, 1, 0, 1, 2]))
    assert (again.tolist(), first.tolist()) == ([3, 4], [1, 0])


@pytest.mark.parametrize(
    ('starts', 'lengths', 'expected'),
    [([7, 0, 3], [2, 0, 3], [7, 8, 3, 4, 5]), ([], [], []), ([4], [0], [])],
)
def test_runs_follow_one_another(starts, lengths, expected):
    assert runs(np.asarray(starts, np.int64), np.asarray(lengths, np.int64)).tolist() == expected
