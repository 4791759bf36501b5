"""How far the stars that a model writes are from the stars that a user gave (P5, section 5.2).

P5's published evaluation keeps the answers that are among '1.0' to '4.9' and drops all others, '5.0' among
them. Here every answer counts: one that is no rating counts as the end of the scale farther from the truth.
"""

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from llmrec_jax.evaluation.metric_estimates import Means, MetricEstimates

_NUMBER = re.compile(r'[0-9]+(\.[0-9]+)?')


def parse_stars(text: str, lowest: float = 1.0, highest: float = 5.0) -> float | None:
    """The rating that a text is; None where it is none.

    A rating is a decimal number ('4', '4.0', '3.7') and nothing else but space around it, from `lowest` to
    `highest`, both included. 'four', '4 stars', '4,0', '-4', '0' and '6' are none.

    >>> parse_stars(' 5.0'), parse_stars('5.1')
    (5.0, None)
    """
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        return None
    stars = float(text)
    return stars if lowest <= stars <= highest else None


def true_stars(
    targets: Sequence[str], lowest: float = 1.0, highest: float = 5.0
) -> Float[np.ndarray, 'examples']:
    """The ratings that targets are.

    Raises:
      ValueError: naming the first that is none.
    """
    truth = [parse_stars(target, lowest, highest) for target in targets]
    if None in truth:
        row = truth.index(None)
        raise ValueError(
            f'target {targets[row]!r} of example {row} is no rating from {lowest:g} to {highest:g}: set the '
            'lowest and highest rating to those of the corpus'
        )
    return np.asarray(truth, np.float64)


def rating_estimates(
    targets: Sequence[str], predictions: Sequence[str], lowest: float = 1.0, highest: float = 5.0
) -> MetricEstimates:
    """Errors of ratings as texts.

    Metrics, in stars:

    - rmse, mae: over all examples; an answer that `parse_stars` does not take counts as the end of the scale
      that is farther from the truth.
    - rmse_of_parsed, mae_of_parsed: over the answers that are ratings; not there where none is.
    - parse_rate: share of the answers that are ratings.

    Args:
      targets: the ratings given.
      predictions: the answers.
      lowest: fewest stars on the scale.
      highest: most stars.

    Raises:
      ValueError: when a target is no rating, the numbers differ, or there are no examples.
    """
    truth = true_stars(targets, lowest, highest)
    if len(predictions) != len(truth):
        raise ValueError(f'there are {len(predictions)} answers to {len(truth)} ratings')
    answers = [parse_stars(prediction, lowest, highest) for prediction in predictions]
    return _estimates(
        truth,
        np.asarray([np.nan if answer is None else answer for answer in answers], np.float64),
        lowest,
        highest,
    )


def predicted_rating_estimates(
    truth: Float[np.ndarray, 'examples'],
    predictions: Float[np.ndarray, 'examples'],
    lowest: float = 1.0,
    highest: float = 5.0,
) -> MetricEstimates:
    """Errors of predictions that are numbers, as floors give them; those off the scale move to its end.

    Metrics as in `rating_estimates`; the parse rate is 1.

    Raises:
      ValueError: when a prediction is not finite, or there are no examples.
    """
    if not np.isfinite(predictions).all():
        row = int(np.flatnonzero(~np.isfinite(predictions))[0])
        raise ValueError(f'the prediction of example {row} is {predictions[row]}; it must be a finite number')
    return _estimates(truth, np.clip(predictions, lowest, highest), lowest, highest)


def expected_rating_estimates(
    targets: Sequence[str],
    predictions: Sequence[str],
    expected: Float[np.ndarray, 'examples'],
    lowest: float = 1.0,
    highest: float = 5.0,
) -> MetricEstimates:
    """Errors of ratings as texts, and beside them those of the expectation over all the ratings there are.

    The text that is most probable is the mode of what a model believes; squared errors are least at the mean.
    P5 judges the text alone.

    Metrics, in stars: those of `rating_estimates`, and
      rmse_of_expectation, mae_of_expectation: of `expected`.

    Args:
      targets: the ratings given.
      predictions: the answers.
      expected: the mean rating by the model's own probabilities.
      lowest: fewest stars on the scale.
      highest: most stars.

    Raises:
      ValueError: as `rating_estimates` and `predicted_rating_estimates` raise it.
    """
    texts = rating_estimates(targets, predictions, lowest, highest)
    means = predicted_rating_estimates(true_stars(targets, lowest, highest), expected, lowest, highest)
    columns = {f'{name}_of_expectation': means.columns[name] for name in ('squared', 'absolute')}
    return MetricEstimates({**texts.columns, **columns}, _metrics_with_expectation)


def _estimates(
    truth: Float[np.ndarray, 'examples'],
    answers: Float[np.ndarray, 'examples'],
    lowest: float,
    highest: float,
) -> MetricEstimates:
    parsed = ~np.isnan(answers)
    farthest = np.maximum(truth - lowest, highest - truth)
    error = np.where(parsed, np.abs(answers - truth), farthest)
    return MetricEstimates(
        {
            'squared': error**2,
            'absolute': error,
            'parsed': parsed.astype(np.float64),
            'squared_of_parsed': np.where(parsed, error**2, 0.0),
            'absolute_of_parsed': np.where(parsed, error, 0.0),
        },
        _metrics,
    )


def _metrics_with_expectation(means: Means) -> dict[str, Float[np.ndarray, 'resamples']]:
    return {
        **_metrics(means),
        'rmse_of_expectation': np.sqrt(means['squared_of_expectation']),
        'mae_of_expectation': means['absolute_of_expectation'],
    }


def _metrics(means: Means) -> dict[str, Float[np.ndarray, 'resamples']]:
    with np.errstate(divide='ignore', invalid='ignore'):
        squared_of_parsed = means['squared_of_parsed'] / means['parsed']
        absolute_of_parsed = means['absolute_of_parsed'] / means['parsed']
    return {
        'rmse': np.sqrt(means['squared']),
        'mae': means['absolute'],
        'rmse_of_parsed': np.sqrt(squared_of_parsed),
        'mae_of_parsed': absolute_of_parsed,
        'parse_rate': means['parsed'],
    }
