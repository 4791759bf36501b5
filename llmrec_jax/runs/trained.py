"""What training left in a workdir, or why there is nothing of it yet."""

from typing import Any

from llmrec_jax.runs.record import facts_of
from llmrec_jax.runs.run import Run
from llmrec_jax.training.checkpoints import checkpoint_path, saved_steps
from llmrec_jax.training.trainer import CHECKPOINTS


def trained_checkpoint(run: Run) -> str:
    """The best checkpoint of a run, relative to its workdir; without validation the newest.

    Raises:
      FileNotFoundError: when training is not done; the message says who works on it, and which checkpoint
        there is.
    """
    facts = facts_of('train')
    if not run.has(facts):
        raise FileNotFoundError(f'{run.root}: training is not done; {_mend(run)}')
    told: dict[str, Any] = run[facts]
    return told['best_checkpoint'] or told['checkpoint']


def _mend(run: Run) -> str:
    worker, folder = run.worked_on_by(), run.root / CHECKPOINTS
    steps = saved_steps(folder)
    ways = [] if steps else ['there is no checkpoint yet']
    if worker is None:
        ways += ['train with python -m llmrec_jax.run and the same gin files']
    else:
        ways += [f'{worker} works there: ask again when it has ended']
    if steps:
        ways += [f'or ask what is trained so far with --checkpoint={checkpoint_path(folder, steps[-1])}']
    return ', '.join(ways)
