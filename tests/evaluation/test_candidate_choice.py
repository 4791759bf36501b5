import numpy as np
import pytest

from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.candidate_choice import (
    NOWHERE,
    Choices,
    accuracy_by_position,
    choice_accuracy,
    choices_of_lists,
)

BOOTSTRAP = Bootstrap(resamples=200)


def choices(target, first, candidates=10):
    """Of lists that name one candidate at most."""
    target, first = np.asarray(target), np.asarray(first)
    named = (first != NOWHERE).astype(int)
    return Choices(np.full(len(target), candidates), target, first, named, (named > 0) & (first == target))


def test_accuracy_counts_cases_whose_target_is_there():
    # The third case's target is no candidate; the fourth names none.
    found = choice_accuracy(choices([3, 4, NOWHERE, 5], [3, 2, 1, NOWHERE]), BOOTSTRAP)
    assert found['cases'] == 3
    assert (found['first'], found['first_chance']) == pytest.approx((1 / 3, 0.1))
    assert found['intervals']['first'][0] <= found['first'] <= found['intervals']['first'][1]
    assert choice_accuracy(choices([NOWHERE], [2]), BOOTSTRAP) == {'cases': 0}


def test_a_list_is_held_against_a_blind_draw_of_as_many():
    shown = [np.asarray([7, 8, 9, 6]), np.asarray([5, 6, 7, 8]), np.asarray([1, 2, 3, 4])]
    # The target is named second; not at all; and was not shown.
    made = choices_of_lists(shown, [[8, 9], [], [2, 3]], np.asarray([9, 5, 7]))
    assert made.target.tolist() == [2, 0, NOWHERE]
    assert made.first.tolist() == [1, NOWHERE, 1]
    found = choice_accuracy(made, BOOTSTRAP)
    assert (found['cases'], found['first'], found['first_chance']) == (2, 0, 0.25)
    assert (found['listed'], found['listed_chance']) == (0.5, 0.25)
    assert found['intervals']['listed'][0] <= 0.5 <= found['intervals']['listed'][1]


def test_blind_lists_are_within_chance():
    rng = np.random.default_rng(1)
    shown = [rng.permutation(20) for _ in range(3000)]
    lists = [rng.permutation(20)[: rng.integers(1, 10)].tolist() for _ in shown]
    found = choice_accuracy(choices_of_lists(shown, lists, rng.integers(20, size=3000)), BOOTSTRAP)
    assert found['listed'] == pytest.approx(found['listed_chance'], abs=0.03)


def test_a_system_that_takes_the_first_place_shows_by_position():
    targets = np.repeat(np.arange(10), 20)
    records = accuracy_by_position(choices(targets, np.zeros(200, int)), 5, BOOTSTRAP)
    assert [record['places'] for record in records] == ['1-2', '3-4', '5-6', '7-8', '9-10']
    assert [record['cases'] for record in records] == [40] * 5
    assert [record['accuracy'] for record in records] == [0.5, 0, 0, 0, 0]
    assert [record['named_first'] for record in records] == [1, 0, 0, 0, 0]
    assert [record['shown'] for record in records] == [0.2] * 5


def test_a_blind_draw_is_within_chance_everywhere():
    rng = np.random.default_rng(0)
    found = choices(rng.integers(20, size=4000), rng.integers(20, size=4000), candidates=20)
    assert choice_accuracy(found, BOOTSTRAP)['first'] == pytest.approx(1 / 20, abs=0.015)
    for record in accuracy_by_position(found, 4, BOOTSTRAP):
        assert record['accuracy'] == pytest.approx(1 / 20, abs=0.03)
        assert record['named_first'] == pytest.approx(record['shown'], abs=0.03)


def test_parts_without_targets_have_no_accuracy_and_short_lists_fewer_parts():
    records = accuracy_by_position(choices([0, 0], [0, NOWHERE], candidates=2), 5, BOOTSTRAP)
    assert [record['places'] for record in records] == ['1-1', '2-2']
    assert records[1] == {'places': '2-2', 'cases': 0, 'named_first': 0.0, 'shown': 0.5}


def test_impossible_places_are_told():
    with pytest.raises(ValueError, match='case 1: the target stands at 10 of 10 candidates'):
        choices([0, 10], [0, 0])
    with pytest.raises(ValueError, match='case 0: 3 of 2 candidates are named'):
        Choices(np.asarray([2]), np.asarray([0]), np.asarray([0]), np.asarray([3]), np.asarray([True]))
    with pytest.raises(ValueError, match='bins=0'):
        accuracy_by_position(choices([0], [0]), 0, BOOTSTRAP)
