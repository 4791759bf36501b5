"""What TensorFlow says of an example that a SeqIO task cannot make, as one message that says which it is."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import seqio
import tensorflow as tf

# What tf.data says of itself before it says what is wrong.
_PREAMBLE = re.compile(r'^.*(?:with iterator: \S+: |\}\} )')
_MEND = (
    'mend what it is made of, or the preprocessors; tasks.text_table.text_table reads texts and answers and '
    'names file and line'
)


@contextlib.contextmanager
def failures_located(
    provider: seqio.Task | seqio.Mixture, split: str, feature_lengths: Mapping[str, int] | None, seed: int = 0
) -> Iterator[None]:
    """Makes a failure of TensorFlow while examples are made a message that names task, files and example.

    Args:
      provider: whose examples are made meanwhile.
      split: of the examples.
      feature_lengths: to which they are trimmed.
      seed: of the task's random preprocessors.

    Raises:
      ValueError: in the place of TensorFlow's error.
    """
    try:
        yield
    except tf.errors.OpError as error:
        tasks = [task for task in seqio.get_subtasks(provider) if split in task.splits]
        found = (_first_failure(task, split, feature_lengths, seed) for task in tasks)
        failed, cause = next(filter(None, found), ('', error))
        said = _PREAMBLE.sub('', cause.message.splitlines()[0]) if cause.message else type(cause).__name__
        raise ValueError(f'{provider.name!r}, split {split!r}{failed}: {said}; {_MEND}') from error


def _first_failure(
    task: seqio.Task, split: str, feature_lengths: Mapping[str, int] | None, seed: int
) -> tuple[str, tf.errors.OpError] | None:
    """Which example of a task fails, and of what; None where none does."""
    lengths = None if feature_lengths is None else dict(feature_lengths)
    made = 0
    try:
        examples: Any = task.get_dataset(sequence_length=lengths, split=split, shuffle=False, seed=seed)
        for _ in examples:
            made += 1
    except tf.errors.OpError as error:
        files = f' of {", ".join(task.source.list_shards(split))}' if _has_files(task) else ''
        return f', example {made + 1} of task {task.name!r}{files}', error
    return None


def _has_files(task: seqio.Task) -> bool:
    return isinstance(task.source, seqio.FileDataSource)
