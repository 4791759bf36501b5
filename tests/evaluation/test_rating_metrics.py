import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.rating_metrics import (
    expected_rating_estimates,
    parse_stars,
    predicted_rating_estimates,
    rating_estimates,
)

TENTHS = tuple(f'{tenth / 10:.1f}' for tenth in range(10, 51))


@pytest.mark.parametrize(
    ('text', 'stars'),
    [
        *((text, float(text)) for text in TENTHS),
        ('4', 4.0),
        (' 4.0 ', 4.0),
        ('3.75', 3.75),
        ('0.9', None),
        ('5.1', None),
        ('0', None),
        ('6', None),
        ('-4', None),
        ('+4', None),
        ('4.', None),
        ('.4', None),
        ('4,0', None),
        ('4 stars', None),
        ('4.0 4.0', None),
        ('four', None),
        ('', None),
        ('nan', None),
        ('inf', None),
        ('1e0', None),
        ('1_0', None),
        ('\u0664', None),
    ],
)
def test_a_rating_is_a_number_on_the_scale_and_nothing_else(text, stars):
    assert parse_stars(text) == stars


def test_another_scale_has_other_ends():
    assert parse_stars('0.5', lowest=0.5) == 0.5
    assert parse_stars('10', highest=10.0) == 10.0


def test_errors_equal_those_worked_by_hand():
    # Errors 0, 1, 2; then an answer that is none to 4 stars (farthest: 1 star, error 3), to 1 star (error 4).
    found = rating_estimates(['5.0', '4.0', '3.0', '4', '1'], ['5.0', '3.0', '5', 'good', '']).metrics()
    assert found == {
        'rmse': pytest.approx(math.sqrt((0 + 1 + 4 + 9 + 16) / 5)),
        'mae': pytest.approx((0 + 1 + 2 + 3 + 4) / 5),
        'rmse_of_parsed': pytest.approx(math.sqrt(5 / 3)),
        'mae_of_parsed': pytest.approx(1.0),
        'parse_rate': pytest.approx(0.6),
    }


def test_a_right_answer_of_five_stars_counts():
    # P5's published evaluation drops '5.0'; dropping it here would leave the error of 1 alone.
    found = rating_estimates(['5.0', '4.0'], ['5.0', '3.0']).metrics()
    assert found['mae'] == found['mae_of_parsed'] == 0.5
    assert found['parse_rate'] == 1.0


def test_where_nothing_is_parsed_there_is_no_error_over_what_was():
    measured = rating_estimates(['5.0', '3.0'], ['?', '?']).measured(Bootstrap(resamples=20))
    assert measured.metrics == {
        'rmse': pytest.approx(math.sqrt((16 + 4) / 2)), 'mae': 3.0, 'parse_rate': 0.0,
    }  # fmt: skip
    assert measured.intervals.keys() == measured.metrics.keys()


PAIRS = st.lists(st.tuples(st.sampled_from(TENTHS), st.sampled_from((*TENTHS, 'x', '7'))), min_size=1)


@settings(max_examples=30)
@given(PAIRS, st.randoms())
def test_errors_lie_in_their_bounds_and_ask_for_no_order(pairs, random):
    found = rating_estimates(*zip(*pairs)).metrics()
    # Equal errors have one mean, but for rounding.
    assert 0 <= found['mae'] <= found['rmse'] + 1e-9 and found['rmse'] <= 4
    assert found.get('mae_of_parsed', 0) <= found['mae'] + 4 * (1 - found['parse_rate']) + 1e-9
    if any(answer in TENTHS for _, answer in pairs):
        assert found['parse_rate'] > 0
    random.shuffle(pairs)
    assert rating_estimates(*zip(*pairs)).metrics() == found


@settings(max_examples=30)
@given(PAIRS)
def test_one_answer_made_unreadable_never_lowers_the_error(pairs):
    targets, answers = map(list, zip(*pairs))
    worse = rating_estimates(targets, ['?', *answers[1:]]).metrics()
    found = rating_estimates(targets, answers).metrics()
    assert worse['rmse'] >= found['rmse'] - 1e-12
    assert worse['mae'] >= found['mae'] - 1e-12


def test_predicted_numbers_move_to_the_end_of_the_scale():
    found = predicted_rating_estimates(np.array([5.0, 1.0, 3.0]), np.array([5.7, 0.0, 3.5])).metrics()
    assert found['mae'] == pytest.approx(0.5 / 3)
    assert found['parse_rate'] == 1.0


def test_intervals_hold_the_value_and_shrink_with_more_examples():
    rng = np.random.default_rng(0)
    truth, predictions = rng.integers(1, 6, 2000).astype(float), rng.uniform(1, 5, 2000)
    widths = []
    for count in (50, 2000):
        estimates = predicted_rating_estimates(truth[:count], predictions[:count])
        measured = estimates.measured(Bootstrap(resamples=200))
        low, high = measured.intervals['rmse']
        assert low < measured.metrics['rmse'] < high
        widths.append(high - low)
    # Forty times the examples make it about the root of forty narrower.
    assert 3 < widths[0] / widths[1] < 12


@pytest.mark.parametrize(
    ('targets', 'predictions', 'message'),
    [
        (['6.0'], ['5.0'], r"target '6.0' of example 0 is no rating from 1 to 5"),
        (['5.0', '4.0'], ['5.0'], 'there are 1 answers to 2 ratings'),
        ([], [], 'there are no examples'),
    ],
)
def test_what_cannot_be_judged_is_refused(targets, predictions, message):
    with pytest.raises(ValueError, match=message):
        rating_estimates(targets, predictions)


def test_a_prediction_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match='the prediction of example 1 is nan'):
        predicted_rating_estimates(np.array([1.0, 2.0]), np.array([1.0, np.nan]))


def test_the_expectation_is_judged_beside_the_text_and_changes_nothing_of_it():
    targets, texts = ['5.0', '4.0', '1'], ['5.0', 'good', '2.0']
    found = expected_rating_estimates(targets, texts, np.array([4.0, 4.5, 3.0])).metrics()
    assert found['rmse_of_expectation'] == pytest.approx(math.sqrt((1 + 0.25 + 4) / 3))
    assert found['mae_of_expectation'] == pytest.approx(3.5 / 3)
    assert rating_estimates(targets, texts).metrics().items() <= found.items()
