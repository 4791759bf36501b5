"""What training left in a workdir, or why there is nothing of it yet."""

import pathlib
from collections.abc import Mapping
from typing import Any

from llmrec_jax.runs.record import facts_of
from llmrec_jax.runs.run import Run
from llmrec_jax.training.checkpoints import checkpoint_path, saved_steps
from llmrec_jax.training.trainer import CHECKPOINTS

TRAIN = 'train'


def trained_checkpoint(run: Run, stage: str = TRAIN) -> str:
    """The best checkpoint of a training, relative to the workdir; without validation the newest.

    Args:
      run: the workdir.
      stage: which trains; in a folder of its name, but for the last one, which trains in the workdir itself.

    Raises:
      FileNotFoundError: when training is not done; the message says who works on it, and which checkpoint
        there is.
    """
    facts = facts_of(stage)
    if not run.has(facts):
        folder = run.root if stage == TRAIN else run.root / stage
        raise FileNotFoundError(f'{folder}: training is not done; {_mend(run, folder / CHECKPOINTS)}')
    return answering(run[facts])


def answering(told: Mapping[str, Any]) -> str:
    """The checkpoint that a training answers with: its best, or its newest where nothing was validated."""
    return told['best_checkpoint'] or told['checkpoint']


def _mend(run: Run, folder: pathlib.Path) -> str:
    worker = run.worked_on_by()
    steps = saved_steps(folder)
    ways = [] if steps else ['there is no checkpoint yet']
    if worker is None:
        ways += ['train with python -m llmrec_jax.run and the same gin files']
    else:
        ways += [f'{worker} works there: ask again when it has ended']
    if steps:
        ways += [f'or ask what is trained so far with --checkpoint={checkpoint_path(folder, steps[-1])}']
    return ', '.join(ways)
