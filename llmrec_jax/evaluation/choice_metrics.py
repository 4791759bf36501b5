"""How often a model picks the right one of two words: yes or no, like or dislike."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from llmrec_jax.evaluation.measured import Means, Tally


def parse_choice(text: str, choices: tuple[str, str]) -> str | None:
    """The choice that a text is, whatever its case and the space around it; None where it is neither."""
    word = text.strip().lower()
    return word if word in choices else None


def choice_tally(
    targets: Sequence[str],
    predictions: Sequence[str],
    choices: tuple[str, str],
    scores: Float[np.ndarray, 'examples'] | None = None,
) -> Tally:
    """Judges answers of one word.

    Metrics:
      accuracy: share of right answers; one that is neither choice is wrong.
      accuracy_of_parsed: over the answers that are one of the choices; not there where none is.
      parse_rate: share of the answers that are one of the choices.
      auc: see `area_under_curve`; not there without `scores`, or where all targets are alike.

    Args:
      targets: the right choices.
      predictions: the answers.
      choices: the two words; the first is the positive one.
      scores: how probable the positive choice is, in any monotone measure; e.g. its probability at the first
        step, over that of both choices.

    Raises:
      ValueError: when a target is neither choice, the numbers differ, or there are no examples.
    """
    truth = [parse_choice(target, choices) for target in targets]
    if None in truth:
        row = truth.index(None)
        raise ValueError(f'target {targets[row]!r} of example {row} is none of {choices}')
    if len(predictions) != len(truth):
        raise ValueError(f'there are {len(predictions)} answers to {len(truth)} questions')
    if scores is not None and len(scores) != len(truth):
        raise ValueError(f'there are {len(scores)} scores of {len(truth)} answers')
    answers = [parse_choice(prediction, choices) for prediction in predictions]
    positive = np.asarray([word == choices[0] for word in truth], bool)
    whole = {}
    if scores is not None and 0 < positive.sum() < len(positive):
        whole['auc'] = area_under_curve(positive, scores)
    return Tally(
        {
            'accuracy': np.asarray([one == other for one, other in zip(truth, answers)], np.float64),
            'parse_rate': np.asarray([answer is not None for answer in answers], np.float64),
        },
        _metrics,
        whole,
    )


def area_under_curve(positive: Bool[np.ndarray, 'examples'], scores: Float[np.ndarray, 'examples']) -> float:
    """Area under the ROC curve: how probably a positive example scores above a negative one, ties a half.

    Raises:
      ValueError: when a score is NaN or all examples are alike.
    """
    if np.isnan(scores).any():
        raise ValueError(f'the score of example {np.flatnonzero(np.isnan(scores))[0]} is NaN')
    ones = int(positive.sum())
    zeros = len(positive) - ones
    if not ones or not zeros:
        raise ValueError('the area under the curve needs positive and negative examples')
    # Average ranks give ties a half each (Mann and Whitney).
    ranks = stats.rankdata(scores)
    return float((ranks[positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def _metrics(means: Means) -> dict[str, Float[np.ndarray, 'resamples']]:
    with np.errstate(divide='ignore', invalid='ignore'):
        return {**means, 'accuracy_of_parsed': means['accuracy'] / means['parse_rate']}
