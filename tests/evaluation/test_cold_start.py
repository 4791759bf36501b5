import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.cold_start import FrequencySlices, cold_start_record, slice_metrics, slice_names
from tests.evaluation.ranking_cases import ranking_cases, sequences

BOOTSTRAP = Bootstrap(resamples=50)


def test_slices_are_named_by_what_they_hold():
    assert slice_names((1, 5, 10)) == ['0', '1-4', '5-9', '10+']
    assert slice_names((2, 3)) == ['0-1', '2', '3+']


def test_items_and_users_are_sliced_by_what_training_has_of_them():
    # Item 0 has three training events, item 1 one, item 2 none; the users have 1, 1 and 2.
    train = sequences([[0], [0], [0, 1]])
    cases = ranking_cases([[0], [0], [0, 1]], [0, 2, 1])
    found = cold_start_record(
        np.array([1, 0, 7]), cases, train, 3, (5, 10), BOOTSTRAP, FrequencySlices((1, 2), (2,))
    )
    items = {
        name: (one['examples'], one['recall@5'], one['recall@10']) for name, one in found['items'].items()
    }
    assert items == {'0': (1, 0.0, 0.0), '1': (1, 0.0, 1.0), '2+': (1, 1.0, 1.0)}
    users = {name: (one['examples'], one['recall@10']) for name, one in found['users'].items()}
    assert users == {'0-1': (2, 0.5), '2+': (1, 1.0)}
    assert found['users']['0-1']['intervals']['recall@10'] == [0.0, 1.0]


def test_a_step_that_training_has_is_told_from_a_new_one():
    # Training has the steps 0 to 1 and 1 to 2, each within a history; from 2 to 0 two histories meet.
    train = sequences([[0, 1], [0, 1, 2], [0], [2]])
    cases = ranking_cases([[2, 0], [1], [0, 1], [2]], [1, 0, 2, 0])
    found = cold_start_record(np.array([1, 1, 0, 9]), cases, train, 3, (5, 10), BOOTSTRAP)['transitions']
    assert {name: (one['examples'], one['recall@5']) for name, one in found.items()} == {
        'known': (2, 0.5),
        'new': (2, 0.5),
    }
    assert found['new']['recall@10'] == 1.0


def test_without_a_history_every_step_is_new():
    # The history before ends in 0, and training has the step from 0 to 1: that is another user's.
    train, cases = sequences([[0, 1], [2, 1]]), ranking_cases([[0], []], [1, 1])
    found = cold_start_record(np.array([1, 1]), cases, train, 3, (5,), BOOTSTRAP)['transitions']
    assert {name: one['examples'] for name, one in found.items()} == {'known': 1, 'new': 1}


@hypothesis.given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 60)), min_size=1, max_size=40))
@hypothesis.settings(max_examples=30)
def test_slices_weighted_by_their_cases_give_the_whole(cases):
    ranks, frequency = (np.array(column) for column in zip(*cases))
    found = slice_metrics(ranks, frequency, (1, 5, 50), (10,), BOOTSTRAP).values()
    total = sum(one.examples * one.metrics['recall@10'] for one in found)
    assert sum(one.examples for one in found) == len(cases)
    assert total == pytest.approx(((ranks > 0) & (ranks <= 10)).sum())


def test_bad_slices_are_told():
    with pytest.raises(ValueError, match='FrequencySlices.items is .* ascending'):
        FrequencySlices(items=(5, 1))
    with pytest.raises(ValueError, match='2 frequencies for 1 cases'):
        slice_metrics(np.array([1]), np.array([1, 2]), (1,), (5,), BOOTSTRAP)
