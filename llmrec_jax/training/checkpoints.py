"""Checkpoints in T5X's layout, written by Orbax while training goes on.

`<directory>/checkpoint_<step>/state` holds `{'target': params, 'state': {'step': ..., 'param_states': ...}}`:
either engine goes on with the other's (see `state_tree`), and `parameter_restore` reads parameters alone.

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

import jax
import orbax.checkpoint as ocp
from jaxtyping import PyTree

from llmrec_jax.training.checkpoint_errors import CheckpointError, first_line, reading
from llmrec_jax.training.state_tree import from_tree, to_tree
from llmrec_jax.training.train_state import TrainState

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


class Checkpoints:
    """The checkpoints of a run."""

    def __init__(self, directory: str | os.PathLike, keep: int):
        """Opens `directory`, removing what an interrupted save left there.

        Args:
          directory: made if it is not there.
          keep: how many of the newest are kept.

        Raises:
          ValueError: when `keep` is below 1.
        """
        if keep < 1:
            raise ValueError(f'keep={keep}: at least one checkpoint must be kept')
        self.directory = pathlib.Path(directory).absolute()
        self._retention = _LatestAndBest(keep)
        options = ocp.CheckpointManagerOptions(
            step_prefix=STEP_PREFIX,
            cleanup_tmp_directories=True,
            preservation_policy=self._retention,
        )
        handlers = {ITEM: ocp.PyTreeCheckpointHandler()}
        self._manager = ocp.CheckpointManager(self.directory, item_handlers=handlers, options=options)

    def steps(self) -> list[int]:
        """Steps with a complete checkpoint, ascending."""
        names = (
            path.name.removeprefix(f'{STEP_PREFIX}_') for path in self.directory.glob(f'{STEP_PREFIX}_*')
        )
        return sorted(int(name) for name in names if name.isdigit())

    def path(self, step: int) -> pathlib.Path:
        """Where the checkpoint of `step` lies."""
        return self.directory / f'{STEP_PREFIX}_{step}'

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
            self._manager.save(
                step, args=ocp.args.Composite(state=ocp.args.PyTreeSave(to_tree(state))), force=True
            )

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

        Raises:
          CheckpointError: when it is damaged, or its parameters are not those of `abstract`; the message
            names the first that differs.
        """
        path = self.path(step) / ITEM
        tree = to_tree(abstract)
        earlier = [other for other in self.steps() if other < step]
        mend = f'delete {self.path(step)} to go on from ' + (
            f'step {earlier[-1]}' if earlier else 'the beginning'
        )
        with reading(path, mend):
            saved = ocp.PyTreeCheckpointHandler().metadata(path).tree
        _check_same(path, _shapes(saved), _shapes(tree))
        with reading(path, mend):
            restored = self._manager.restore(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.PyTreeRestore(
                        item=tree, restore_args=ocp.checkpoint_utils.construct_restore_args(tree)
                    )
                ),
            )[ITEM]
        return from_tree(restored, abstract)

    def close(self) -> None:
        """Waits for what is being written and lets go of the directory."""
        self._manager.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        # Orbax raises tensorstore's errors as they come: ValueError, OSError, RuntimeError.
        except Exception as error:
            kept = ', '.join(map(str, self.steps())) or 'none'
            raise CheckpointError(
                f'a checkpoint could not be written under {self.directory}: {first_line(error)}; complete '
                f'ones are intact (steps: {kept}); make room or mend the disk, then start again to go on'
            ) from error


def _shapes(tree: PyTree[Any]) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda leaf: hasattr(leaf, 'shape'))
    return {
        '/'.join(
            str(getattr(key, 'key', getattr(key, 'name', getattr(key, 'idx', key)))) for key in path
        ): tuple(leaf.shape)
        for path, leaf in leaves
        if hasattr(leaf, 'shape')
    }


def _check_same(
    path: pathlib.Path, saved: dict[str, tuple[int, ...]], expected: dict[str, tuple[int, ...]]
) -> None:
    for name in sorted(
        saved.keys() | expected.keys(), key=lambda name: (not name.startswith('target/'), name)
    ):
        if saved.get(name) != expected.get(name):
            raise CheckpointError(
                f'{path} was written by another model or optimizer: {name} has shape '
                f'{saved.get(name, "(absent)")} there and {expected.get(name, "(absent)")} here; '
                f'use another workdir, or the configuration it was written with'
            )
