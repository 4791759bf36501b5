"""Metric functions of users' own tasks: what has an interval, and which constants stand beside a model."""

import numpy as np
import pytest

from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.metric_functions import measured
from llmrec_jax.evaluation.rating_metrics import rating_estimates
from llmrec_jax.stages.prompt_evaluation.constant_answers import constants_of
from tasks.text_metrics import metric_fns

TARGETS = ['4', '2', '5', '1', '3', '5']
ANSWERS = ['4', '3', '5', '1.0', 'none', '4']


def exact_match(targets, predictions):
    return {'percent': 100 * np.mean([one == other for one, other in zip(targets, predictions)])}


def spread(targets, predictions):
    """No mean over examples, and nothing for one alone."""
    numbers = [float(target) for target in targets]
    return {'spread': max(numbers) - min(numbers), 'percent_of_one': 1.0}


def needs_pairs(targets, predictions):
    if len(targets) % 2:
        raise RuntimeError('not in pairs')
    return {'pairs': len(targets) / 2}


def test_functions_of_the_library_have_their_own_intervals():
    found = measured([(metric_fns('stars')[0], ANSWERS)], TARGETS, Bootstrap())
    assert found == rating_estimates(TARGETS, ANSWERS).measured(Bootstrap())
    assert found.intervals['rmse'][0] < found.metrics['rmse'] < found.intervals['rmse'][1]


def test_a_function_of_ones_own_has_intervals_where_it_is_a_mean_over_examples():
    functions = [(exact_match, ANSWERS), (spread, ANSWERS), (needs_pairs, ANSWERS)]
    found = measured(functions, TARGETS, Bootstrap())
    assert found.metrics == {
        'percent': pytest.approx(100 / 3),
        'spread': 4.0,
        'percent_of_one': 1.0,
        'pairs': 3.0,
    }
    right = np.asarray([100.0, 0, 100, 0, 0, 0])
    (expected,) = Bootstrap().intervals(right[:, None])
    assert found.intervals == {'percent': pytest.approx(tuple(expected)), 'percent_of_one': (1.0, 1.0)}


def test_constants_are_the_most_frequent_answer_and_of_numbers_the_mean():
    assert constants_of(['like', 'dislike', ' like']) == {'most_frequent': 'like'}
    assert constants_of(['4', '5.0', '4']) == {'most_frequent': '4', 'mean': f'{13 / 3:.6f}'}
    assert constants_of(['nan', '1']).keys() == {'most_frequent'}
    assert constants_of([]) == {}
