"""The front of cost and quality, and what costs are."""

import doctest

import numpy as np
import pytest

from llmrec_jax.comparison import pareto
from llmrec_jax.comparison.costs import COSTS, in_words, parameters, peak_device_mb, training_seconds
from llmrec_jax.comparison.finished_run import read_run
from llmrec_jax.comparison.pareto import pareto_front
from tests.comparison.hand_made import HandMadeRun


def test_the_front_is_what_no_other_point_beats():
    rng = np.random.default_rng(0)
    costs, qualities = rng.integers(8, size=(2, 60)).astype(float)
    expected = [
        not any(c <= cost and q >= quality and (c < cost or q > quality) for c, q in zip(costs, qualities))
        for cost, quality in zip(costs, qualities)
    ]
    found = pareto_front(costs, qualities).tolist()
    assert found == expected and 0 < sum(found) < 60


def test_equal_points_are_on_the_front_together():
    assert pareto_front(np.array([1.0, 1.0, 2.0]), np.array([0.5, 0.5, 0.5])).tolist() == [True, True, False]


def test_the_example_of_the_docstring():
    assert doctest.testmod(pareto).failed == 0


@pytest.mark.parametrize(
    ('told', 'expected'),
    [
        ({'training_seconds': 7.25}, 7.25),
        ({'training_seconds': None}, None),
        # As an older record has it: 20 steps of 8 examples at 16 a second.
        ({'training_seconds': 'absent'}, 10.0),
        ({'training_seconds': 'absent', 'first_step': 10}, None),
        ({'training_seconds': 'absent', 'examples_per_second': None}, None),
    ],
)
def test_training_seconds_are_those_of_all_parts_or_unknown(told, expected, tmp_path):
    run = read_run(HandMadeRun(training=told).write(tmp_path), 'run', 'test')
    assert training_seconds(run) == expected
    assert parameters(run) == 160


def test_device_memory_is_told_where_the_device_tells(tmp_path):
    here = read_run(HandMadeRun(training={'peak_device_bytes': 3 * 2**20}).write(tmp_path / 'a'), 'a', 'test')
    there = read_run(HandMadeRun().write(tmp_path / 'b'), 'b', 'test')
    assert peak_device_mb(here) == 3.0 and peak_device_mb(there) is None


def test_costs_are_read_with_their_units():
    seconds, numbers = COSTS[0], COSTS[1]
    assert in_words({'training_seconds': 3.14}, seconds) == '3.1\u00a0s'
    assert in_words({'training_seconds': 1234.5}, seconds) == '1\u202f234\u00a0s'
    assert in_words({'parameters': 0.0}, numbers) == 'none'
    assert in_words({'parameters': None}, numbers) == '–'
