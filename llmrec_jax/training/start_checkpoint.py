"""A checkpoint of parameters that no training made: imported ones, and those that training starts from."""

import os
import pathlib
import shutil

import numpy as np
from jaxtyping import PyTree

from llmrec_jax.training import processes
from llmrec_jax.training.base_checkpoints import Base
from llmrec_jax.training.checkpoints import Checkpoints
from llmrec_jax.training.train_state import TrainState


def write_parameters(params: PyTree[np.ndarray], folder: str | os.PathLike) -> pathlib.Path:
    """Writes a checkpoint that `Trainer.initial_checkpoint` takes, in place of what was in the folder.

    All processes of a run call it, with the same parameters.

    Returns:
      The checkpoint.

    Raises:
      CheckpointError: when it cannot be written.
    """
    processes.from_first(lambda: shutil.rmtree(folder, ignore_errors=True))
    return add_parameters(params, folder)


def add_parameters(
    params: PyTree[np.ndarray], folder: str | os.PathLike, base: Base | None = None
) -> pathlib.Path:
    """The same beside whatever else is in the folder.

    Args:
      params: all parameters, or those beside a base.
      folder: without checkpoints.
      base: the checkpoint of the others.

    Returns:
      The checkpoint.

    Raises:
      CheckpointError: when it cannot be written.
    """
    checkpoints = Checkpoints(folder, keep=1, base=base)
    try:
        checkpoints.save(0, TrainState(step=np.zeros((), np.int32), params=params, opt_state=()))
        checkpoints.wait()
    finally:
        checkpoints.close()
    return checkpoints.path(0)
