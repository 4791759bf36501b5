"""Which checkpoint of a run is its best."""

import pathlib

from llmrec_jax.training.checkpoint_errors import CheckpointError
from llmrec_jax.training.checkpoints import checkpoint_path, saved_steps
from llmrec_jax.training.early_stopping import BestMetric
from llmrec_jax.training.metrics_log import VALIDATION, read_json_lines
from llmrec_jax.training.trainer import CHECKPOINTS


def best_checkpoint(workdir: pathlib.Path, metric: BestMetric) -> pathlib.Path:
    """The checkpoint of the best validation so far; the newest where nothing was validated.

    Args:
      workdir: of the run, which may not have ended.
      metric: by which the run judges.

    Raises:
      CheckpointError: when there is no checkpoint.
      ValueError: when the log of the validations is damaged or lacks the metric.
    """
    directory = workdir / CHECKPOINTS
    steps = saved_steps(directory)
    if not steps:
        raise CheckpointError(f'{directory} holds no checkpoint: train first, or name one with --checkpoint')
    best = metric.best([row for row in read_json_lines(workdir / VALIDATION) if row['step'] in steps])
    return checkpoint_path(directory, best['step'] if best else steps[-1])
