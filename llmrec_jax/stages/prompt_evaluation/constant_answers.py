"""Texts that answer every example of a SeqIO task alike, made of its training answers; needs TensorFlow."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import seqio

from llmrec_jax.evaluation.baselines.fitted import FrequentText
from llmrec_jax.stages.failing_examples import failures_located

TRAINING_SPLIT = 'train'
MOST_FREQUENT, MEAN = 'most_frequent', 'mean'


def constant_answers(task: seqio.Task, feature_lengths: Mapping[str, int]) -> dict[str, str]:
    """The baselines of a task; none where it has no split 'train'.

    Args:
      task: any with the feature 'targets'.
      feature_lengths: to which its examples are trimmed.

    Returns:
      'most_frequent' -> the target that training has most often; where all training targets are numbers,
      'mean' -> their mean.

    Raises:
      ValueError: when a training example cannot be made.
    """
    if TRAINING_SPLIT not in task.splits:
        return {}
    lengths = dict(feature_lengths)
    with failures_located(task, TRAINING_SPLIT, lengths):
        examples = task.get_dataset(sequence_length=lengths, split=TRAINING_SPLIT, shuffle=False)
        targets = [written_text(task, example, 'targets') for example in examples.as_numpy_iterator()]
    return constants_of(targets)


def constants_of(targets: Sequence[str]) -> dict[str, str]:
    """See `constant_answers`, whose training targets these are."""
    if not targets:
        return {}
    found = {MOST_FREQUENT: FrequentText.fit(targets).text}
    numbers = [_number(target) for target in targets]
    if None not in numbers:
        found[MEAN] = f'{math.fsum(numbers) / len(numbers):.6f}'
    return found


def written_text(task: seqio.Task, example: Mapping[str, Any], feature: str) -> str:
    """A feature as the task rendered it, or as its tokens read where it was not kept."""
    if f'{feature}_pretokenized' in example and isinstance(example[f'{feature}_pretokenized'], bytes):
        return example[f'{feature}_pretokenized'].decode()
    return task.output_features[feature].vocabulary.decode(example[feature].tolist())


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
