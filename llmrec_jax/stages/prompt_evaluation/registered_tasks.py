"""A checkpoint on SeqIO tasks of a user's own, by SeqIO's evaluator and the tasks' own metrics.

Importing it imports TensorFlow: the tasks run as their module registered them.
"""

import dataclasses
import functools
import json
import logging
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import seqio
import tensorflow as tf
from jaxtyping import Array, Float

from llmrec_jax.files import text_written_whole, write_json
from llmrec_jax.models.generative_model import GenerativeModel
from llmrec_jax.models.inference import TextDecoder
from llmrec_jax.stages.prompt_evaluation.decoding_config import check_batch
from llmrec_jax.stages.prompt_evaluation.placed_model import Features, PlacedModel, on_every_process, written
from llmrec_jax.stages.prompt_evaluation.task_evaluator import PREDICTIONS
from llmrec_jax.training import processes

LOG = logging.getLogger(__name__)
_KEPT_AS = {seqio.metrics.ModelOutputType.PREDICTION: 'answer', seqio.metrics.ModelOutputType.SCORE: 'score'}


def evaluate_registered(
    network: PlacedModel,
    name: str,
    split: str,
    *,
    decoder: TextDecoder,
    batch_size: int,
    feature_lengths: Mapping[str, int],
    directory: pathlib.Path,
) -> dict[str, dict[str, float]]:
    """Metrics of every task of a registered mixture, or of one task.

    They are kept in `<directory>/<name>/results.json`; what was answered in `<task>/predictions.jsonl` beside
    it, a line an example: 'id', 'input', 'target', 'answer' and, where a metric asks for it, 'score'.

    Args:
      network: what is evaluated.
      name: in SeqIO's registries.
      split: which examples.
      decoder: writes the predictions that the tasks' metrics are given.
      batch_size: examples at once; a multiple of the devices.
      feature_lengths: tokens of each feature, to which examples are trimmed.
      directory: receives a folder of that name.

    Returns:
      Name of a task to its metrics.

    Raises:
      ValueError: when no task of that name has the split and metrics, or the devices cannot share a batch.
    """
    check_batch(batch_size, 'the number of examples decoded at once')
    with_metrics = [task for task in seqio.get_subtasks(seqio.get_mixture_or_task(name)) if task.metric_fns]
    if not any(split in task.splits for task in with_metrics):
        found = '; '.join(f'{task.name}: {", ".join(sorted(task.splits))}' for task in with_metrics)
        raise ValueError(
            f'{name!r} has no task with metric_fns and the split {split!r}; with metrics there are: '
            f'{found or "none"}'
        )
    evaluator = seqio.Evaluator(
        name,
        network.model.FEATURE_CONVERTER_CLS(pack=False),
        eval_split=split,
        sequence_length=dict(feature_lengths),
        async_compute_metrics=False,
    )
    asked = _AskedBySeqio(network, decoder, batch_size)
    found, outputs = evaluator.evaluate(compute_metrics=True, predict_fn=asked.predict, score_fn=asked.score)
    results = {
        task: {metric: float(value) for metric, value in metrics.items()}
        for task, metrics in found.result().items()
    }
    folder = directory / name
    if processes.is_first():
        for task in evaluator.eval_tasks:
            examples = evaluator.cached_task_datasets[task.name].as_numpy_iterator()
            _keep_predictions(folder / task.name / PREDICTIONS, task, examples, outputs[task.name])
    processes.from_first(lambda: write_json(folder / 'results.json', {'split': split, 'tasks': results}))
    LOG.info('%s', folder / 'results.json')
    return results


def _keep_predictions(
    path: pathlib.Path,
    task: seqio.Task,
    examples: Iterator[Mapping[str, Any]],
    outputs: Mapping[Any, Sequence[Any]],
) -> None:
    """What was asked, what was right, and what was answered, a line an example."""
    with text_written_whole(path) as file:
        for number, example in enumerate(examples):
            line = {
                'id': number,
                'input': _text(task, example, 'inputs'),
                'target': _text(task, example, 'targets'),
            }
            for kind, values in outputs.items():
                value = values[number]
                vocabulary = task.output_features['targets'].vocabulary
                as_text = kind is seqio.metrics.ModelOutputType.PREDICTION
                line[_KEPT_AS[kind]] = vocabulary.decode(list(value)) if as_text else float(value)
            file.write(json.dumps(line, ensure_ascii=False) + '\n')


def _text(task: seqio.Task, example: Mapping[str, Any], feature: str) -> str:
    """A feature as the task rendered it, or as its tokens read where it was not kept."""
    if f'{feature}_pretokenized' in example and isinstance(example[f'{feature}_pretokenized'], bytes):
        return example[f'{feature}_pretokenized'].decode()
    return task.output_features[feature].vocabulary.decode(example[feature].tolist())


@dataclasses.dataclass(frozen=True, eq=False)
class _AskedBySeqio:
    """What SeqIO's evaluator calls."""

    network: PlacedModel
    decoder: TextDecoder
    batch_size: int

    def predict(self, dataset: tf.data.Dataset) -> list[tuple[int, list[int]]]:
        """Tokens that the decoder writes for each numbered example."""

        def ask(numbers: np.ndarray, features: Mapping[str, np.ndarray]) -> Array:
            network = self.network
            asked = network.features(features['encoder_input_tokens'])
            rows = network.dealt(numbers)
            return written(network.model, self.decoder, 0, network.params, asked, rows).tokens[:, 0]

        return [(number, tokens.tolist()) for number, tokens in self._answers(dataset, ask)]

    def score(self, dataset: tf.data.Dataset) -> list[tuple[int, float]]:
        """Log-probability of each numbered example's targets."""

        def ask(numbers: np.ndarray, features: Mapping[str, np.ndarray]) -> Array:
            network = self.network
            return _scored(network.model, network.params, network.all_dealt(features))

        return [(number, float(score)) for number, score in self._answers(dataset, ask)]

    def _answers(
        self, dataset: tf.data.Dataset, ask: Callable[[np.ndarray, Mapping[str, np.ndarray]], Array]
    ) -> Iterator[tuple[int, Any]]:
        """The answer to each example under its number, batch by batch."""
        for numbers, features in dataset.batch(self.batch_size).as_numpy_iterator():
            # A last batch is filled up with repeats, so that one shape is compiled.
            filled = np.resize(np.arange(len(numbers)), self.batch_size)
            batch = {feature: values[filled] for feature, values in features.items()}
            answers = on_every_process(ask(numbers[filled].astype(np.int32), batch))
            yield from zip(numbers.tolist(), answers[: len(numbers)], strict=True)


@functools.partial(jax.jit, static_argnames='model')
def _scored(model: GenerativeModel, params: Any, features: Features) -> Float[Array, 'batch']:
    return model.score_batch(params, features)
