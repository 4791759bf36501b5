"""Checkpoints in T5X's layout, written by Orbax while training goes on.

`<directory>/checkpoint_<step>/state` holds `{'target': params, 'state': {'step': ..., 'param_states': ...}}`:
either engine goes on with the other's (see `train_state`); `parameter_restore` reads them. Where parameters
are frozen, it holds the others alone, and `base` beside it says where those lie (`base_checkpoints`).

A checkpoint appears under its name only when it is complete, so a killed run leaves none that is cut short.
One that was damaged later is never skipped silently: `restore` names it, and deleting it resumes from the one
before.
"""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import orbax.checkpoint as ocp

from llmrec_jax.training.base_checkpoints import BASE, Base, recorded
from llmrec_jax.training.checkpoint_layouts import CheckpointError, first_line
from llmrec_jax.training.parameter_restore import restore_state
from llmrec_jax.training.train_state import TrainState, to_tree

STEP_PREFIX = 'checkpoint'
ITEM = 'state'


@dataclasses.dataclass
class _LatestAndBest:
    """Orbax's retention: the newest `keep` checkpoints, and the best one whatever its age."""

    keep: int
    best_step: int | None = None

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        newest = {info.step for info in checkpoints[-self.keep :]}
        return [info.step in newest or info.step == self.best_step for info in checkpoints]


def saved_steps(directory: pathlib.Path) -> list[int]:
    """Steps with a complete checkpoint in `directory`, ascending."""
    names = (path.name.removeprefix(f'{STEP_PREFIX}_') for path in directory.glob(f'{STEP_PREFIX}_*'))
    return sorted(int(name) for name in names if name.isdigit())


def checkpoint_path(directory: pathlib.Path, step: int) -> pathlib.Path:
    """Where the checkpoint of `step` lies in `directory`."""
    return directory / f'{STEP_PREFIX}_{step}'


class Checkpoints:
    """The checkpoints of a run."""

    def __init__(self, directory: str | os.PathLike, keep: int, base: Base | None = None):
        """Opens `directory`, removing what an interrupted save left there.

        Args:
          directory: made if it is not there.
          keep: how many of the newest are kept.
          base: where frozen parameters come from; None where there are none.

        Raises:
          ValueError: when `keep` is below 1.
        """
        if keep < 1:
            raise ValueError(f'keep={keep}: at least one checkpoint must be kept')
        self.directory = pathlib.Path(directory).absolute()
        self._retention = _LatestAndBest(keep)
        self._told = False
        self._base = base
        options = ocp.CheckpointManagerOptions(
            step_prefix=STEP_PREFIX,
            cleanup_tmp_directories=True,
            preservation_policy=self._retention,
        )
        handlers = {ITEM: ocp.PyTreeCheckpointHandler(), BASE: ocp.JsonCheckpointHandler()}
        self._manager = ocp.CheckpointManager(self.directory, item_handlers=handlers, options=options)

    def steps(self) -> list[int]:
        """Steps with a complete checkpoint, ascending."""
        return saved_steps(self.directory)

    def path(self, step: int) -> pathlib.Path:
        """Where the checkpoint of `step` lies."""
        return checkpoint_path(self.directory, step)

    def keep_best(self, step: int | None) -> None:
        """From now on keeps the checkpoint of `step` whatever its age, in place of the one kept so before."""
        self._retention.best_step = step

    def save(self, step: int, state: TrainState, *, best: bool = False) -> None:
        """Starts to write a checkpoint; it is complete after `wait` or the next `save`.

        Args:
          step: updates made so far.
          state: may be donated once this returns.
          best: whether this is now the best one, to be kept whatever its age.

        Raises:
          CheckpointError: when this or the previous checkpoint cannot be written.
        """
        if best:
            self.keep_best(step)
        with self._writing():
            items = {ITEM: ocp.args.PyTreeSave(to_tree(state))}
            if self._base is not None:
                items[BASE] = ocp.args.JsonSave(self._base.seen_from(self.path(step)))
            self._manager.save(step, args=ocp.args.Composite(**items), force=True)

    def wait(self) -> None:
        """Returns when everything is written.

        Raises:
          CheckpointError: when a checkpoint could not be written.
        """
        with self._writing():
            self._manager.wait_until_finished()
            self._manager.check_for_errors()

    def restore(self, step: int, abstract: TrainState) -> TrainState:
        """Reads the state of `step` with the shardings in `abstract`, whatever mesh it was written from.

        T5X may have written it, in either of its layouts, with the same optimizer. Frozen parameters are
        not in it, nor in the state.

        Raises:
          CheckpointError: when it is damaged or was trained on another base, or its parameters are not
            those of `abstract`; the message names the first that differs.
        """
        earlier = [other for other in self.steps() if other < step]
        mend = f'delete {self.path(step)} to go on from ' + (
            f'step {earlier[-1]}' if earlier else 'the beginning'
        )
        if self._base is not None:
            self._base.check(self.path(step), recorded(self.path(step)))
        return restore_state(self.path(step), abstract, mend)

    def close(self) -> None:
        """Waits for what is being written and lets go of the directory.

        Raises:
          CheckpointError: when a checkpoint could not be written and neither `save` nor `wait` told of it.
        """
        # Orbax raises the error of a failed write again here, over the message that is on its way.
        told = contextlib.suppress(CheckpointError) if self._told else contextlib.nullcontext()
        with told, self._writing():
            self._manager.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        # Orbax raises tensorstore's errors as they come: ValueError, OSError, RuntimeError.
        except Exception as error:
            self._told = True
            kept = ', '.join(map(str, self.steps())) or 'none'
            raise CheckpointError(
                f'a checkpoint could not be written under {self.directory}: {first_line(error)}; complete '
                f'ones are intact (steps: {kept}); make room or mend the disk, then start again to go on'
            ) from error
