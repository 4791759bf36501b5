"""A checkpoint on SeqIO tasks of a user's own, by SeqIO's evaluator and the tasks' own metrics.

Importing it imports TensorFlow: the tasks run as their module registered them.
"""

import dataclasses
import functools
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
import seqio
import tensorflow as tf
from jaxtyping import Array, Float

from llmrec_jax.files import write_json
from llmrec_jax.launch.mixtures.answering import check_batch
from llmrec_jax.launch.mixtures.network import Features, Network, on_every_process
from llmrec_jax.launch.mixtures.text_answers import written
from llmrec_jax.launch.run_folder import RunFolder
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.inference import TextDecoder
from llmrec_jax.training import processes

LOG = logging.getLogger(__name__)


def evaluate_registered(
    folder: RunFolder, name: str, split: str, decoder: TextDecoder, batch_size: int
) -> dict[str, dict[str, float]]:
    """Metrics of every task of a registered mixture, or of one task.

    They are kept in `evaluation/<name>/results.json`.

    Args:
      folder: of the recipe whose network is evaluated.
      name: in SeqIO's registries.
      split: which examples.
      decoder: writes the predictions that the tasks' metrics are given.
      batch_size: examples at once; a multiple of the devices.

    Returns:
      Name of a task to its metrics.

    Raises:
      ValueError: when no task of that name has the split and metrics, or the devices cannot share a batch.
      CheckpointError: as `restore_params` raises it.
    """
    check_batch(batch_size, 'Trainer.batch_size or Trainer.microbatches')
    model = folder.model
    with_metrics = [task for task in seqio.get_subtasks(seqio.get_mixture_or_task(name)) if task.metric_fns]
    if not any(split in task.splits for task in with_metrics):
        found = '; '.join(f'{task.name}: {", ".join(sorted(task.splits))}' for task in with_metrics)
        raise ValueError(
            f'{name!r} has no task with metric_fns and the split {split!r}; with metrics there are: '
            f'{found or "none"}'
        )
    evaluator = seqio.Evaluator(
        name,
        model.FEATURE_CONVERTER_CLS(pack=False),
        eval_split=split,
        sequence_length=dict(folder.recipe.trainer.feature_lengths),
        async_compute_metrics=False,
    )
    answering = _Answering(Network(model, folder.params), decoder, batch_size)
    found, _ = evaluator.evaluate(
        compute_metrics=True, predict_fn=answering.predict, score_fn=answering.score
    )
    results = {
        task: {metric: float(value) for metric, value in metrics.items()}
        for task, metrics in found.result().items()
    }
    path = folder.root / 'evaluation' / name / 'results.json'
    processes.from_first(lambda: write_json(path, {'split': split, 'tasks': results}))
    for task, metrics in results.items():
        LOG.info('%s: %s', task, ', '.join(f'{name} {value:.4f}' for name, value in sorted(metrics.items())))
    LOG.info('%s', path)
    return results


@dataclasses.dataclass(frozen=True, eq=False)
class _Answering:
    """What SeqIO's evaluator calls."""

    network: Network
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
def _scored(model: EncoderDecoderModel, params: Any, features: Features) -> Float[Array, 'batch']:
    return model.score_batch(params, features)
