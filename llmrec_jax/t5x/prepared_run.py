"""A recipe made ready for T5X: its stages done, its task registered, its model bound to what T5X needs.

The functions are what the run files bind to T5X's parameters; each reads one thing off the same run.
"""

import dataclasses
import functools
import logging
import pathlib
from collections.abc import Sequence

import gin
import jax
from t5x import utils

from llmrec_jax import files
from llmrec_jax.ownership.lock import in_folder
from llmrec_jax.runs import execution, gin_config, owned
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import StageError
from llmrec_jax.runs.system import EngineTask, System, named
from llmrec_jax.stages import gin_values
from llmrec_jax.stages.train import OWNER
from llmrec_jax.t5x.driven_model import trainable
from llmrec_jax.t5x.partitioner import MeshPartitioner
from llmrec_jax.training import processes
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.schedules import Schedule
from llmrec_jax.training.train_state import TrainableModel
from llmrec_jax.training.trainer import CHECKPOINTS, Trainer

LOG = logging.getLogger(__name__)
# The stage that T5X stands in for.
TRAIN = 'train'
PROGRAM = 't5x.train'
OVERRIDING = '--gin.prepared_run.PreparedRun.takeover=True'


@dataclasses.dataclass(frozen=True, eq=False)
class PreparedRun:
    """The system that the gin files configure, and the folder of its run.

    Attributes:
      checkpoints: T5X's `model_dir`, where it trains: stages that are not done are then done. None where it
        evaluates or infers: a checkpoint means nothing without the semantic IDs or the vocabulary that it was
        trained on, so that a stage is not done is then an error.
      takeover: whether to train where another process does, which then ends.
    """

    checkpoints: str | None = None
    takeover: bool = False

    @functools.cached_property
    def system(self) -> System:
        """What the gin files configure."""
        return gin.get_configurable(gin_config.configured(System))()

    @functools.cached_property
    def run(self) -> Run:
        """The workdir, with the stages before training done.

        Raises:
          StageError: when a stage is not done and nothing is trained.
          InUseError: when another process trains where this one is to, or a stage is to be done where one
            works.
        """
        system, run = self.system, self.system.run
        stages = system.stages()
        needed = [name for name in named(system, ('prepare', 'train')) if name != TRAIN]
        if self.checkpoints is not None:
            folder = pathlib.Path(self.checkpoints)
            # By the name that it has for the embedded engine, which may work there too.
            self._own(folder.parent if folder.name == CHECKPOINTS else folder)
            execution.check(run, stages, needed)
        done = {record.name for record in execution.execute(run, stages, ())}
        missing = [name for name in needed if name not in done]
        if missing and self.checkpoints is None:
            raise StageError(
                f'{run.root}: stage {missing[0]!r} is not done, or was done otherwise than configured: give '
                'the WORKDIR and the recipe that the checkpoint was trained with'
            )
        if missing:
            # What another run made is read without owning its folder.
            self._own(run.root)
            execution.execute(run, stages, needed)
        if self.checkpoints is not None:
            self._sign(run)
        return run

    def _own(self, folder: pathlib.Path) -> None:
        def own() -> None:
            if jax.process_index() == 0:
                owned.own_until_exit(
                    in_folder(folder), folder, PROGRAM, takeover=self.takeover, overriding=OVERRIDING
                )

        processes.from_first(own)

    def _sign(self, run: Run) -> None:
        """Says in the workdir what its checkpoints are of; the embedded engine asks for it."""
        theirs = pathlib.Path(self.checkpoints).absolute() == (run.root / CHECKPOINTS).absolute()
        owner = run.root / OWNER
        if theirs and not owner.exists() and jax.process_index() == 0:
            files.write_json(owner, {'fingerprint': execution.fingerprints(self.system.stages())[TRAIN]})
        if theirs:
            [train] = (stage for stage in self.system.stages() if stage.name == TRAIN)
            processes.from_first(lambda: train.note_codes(run))

    @functools.cached_property
    def engine_task(self) -> EngineTask:
        """What of the system T5X is given, its tasks registered in this process.

        Raises:
          ValueError: when it trains no model.
        """
        found = self.system.engine_task(self.run)
        if found is None:
            raise ValueError(f'a {type(self.system).__name__} trains no model that T5X could train')
        return found

    @functools.cached_property
    def model(self) -> TrainableModel:
        """The system's model with its optimizer.

        Raises:
          ValueError: when its vocabularies are not those of its task, which T5X asks of its own models alone.
        """
        found = trainable(self.engine_task.model, self.trainer)
        for name in dict.fromkeys((self.engine_task.trained, self.engine_task.evaluated)):
            if name is not None:
                utils.verify_matching_vocabs(dataset(name), found)
        return found

    @property
    def trainer(self) -> Trainer:
        """The recipe's trainer."""
        return self.engine_task.trainer

    def examples(self, split: str) -> ColumnStore:
        """The materialised examples."""
        return self.engine_task.examples(split)


def dataset(name: str) -> utils.DatasetConfig:
    """T5X's configuration of a task, as far as its vocabularies go."""
    return utils.DatasetConfig(
        mixture_or_task_name=name,
        task_feature_lengths={},
        split='train',
        batch_size=1,
        shuffle=False,
        seed=0,
    )


def model(run: PreparedRun) -> TrainableModel:
    """T5X's `model`."""
    return run.model


def trained(run: PreparedRun) -> str | None:
    """T5X's `mixture_or_task_name` of training."""
    return run.engine_task.trained


def evaluated(run: PreparedRun) -> str | None:
    """T5X's `mixture_or_task_name` of what is evaluated by inference."""
    return run.engine_task.evaluated


def evaluated_split(run: PreparedRun) -> str:
    """T5X's `split` of what is evaluated by inference while it trains."""
    return run.engine_task.evaluated_split


def target_feature(run: PreparedRun) -> str:
    """SeqIO's and T5X's name of the feature that is to be predicted."""
    return run.engine_task.target_feature


def partitioner(run: PreparedRun) -> MeshPartitioner:
    """T5X's `partitioner`, over the mesh and by the rules of the recipe's trainer."""
    return MeshPartitioner(run.trainer.mesh, run.trainer.logical_axis_rules)


def learning_rate(run: PreparedRun) -> Schedule:
    """T5X's `learning_rate_fn`, which it logs: the schedule that the optimizer goes by."""
    return run.trainer.optimizer.learning_rate


def initial_checkpoint(run: PreparedRun) -> str | Sequence[str]:
    """T5X's `path` to restore from: empty for parameters drawn by the seed."""
    initial = run.trainer.initial_checkpoint
    return () if initial is None else gin_values.absolute(initial)


def feature_lengths(run: PreparedRun) -> dict[str, int]:
    """T5X's `task_feature_lengths`: tokens of a full example."""
    return dict(run.engine_task.feature_lengths)


def train_steps(run: PreparedRun) -> int:
    """T5X's `total_steps`."""
    return run.trainer.steps


def batch_size(run: PreparedRun) -> int:
    """Examples an update."""
    return run.trainer.batch_size


def seed(run: PreparedRun) -> int:
    """Of the initial parameters, dropout and the order of examples."""
    return run.trainer.seed


def decoding_batch_size(run: PreparedRun) -> int:
    """Examples decoded at once."""
    return run.engine_task.decoding_batch_size


def eval_period(run: PreparedRun) -> int:
    """Steps between evaluations."""
    return run.trainer.validate_every


def checkpoint_period(run: PreparedRun) -> int:
    """Steps between checkpoints: the recipe's, or the nearest that T5X can keep beside evaluation's."""
    wanted, validate = run.trainer.checkpoint_every, run.trainer.validate_every
    period = fitting_period(wanted, validate)
    if period != wanted:
        LOG.warning('under T5X a checkpoint is written every %d steps, not every %d', period, wanted)
    return period


def fitting_period(wanted: int, other: int) -> int:
    """The period nearest to `wanted` that is a multiple of `other` or divides it, as T5X asks for."""
    if wanted >= other:
        return max(round(wanted / other), 1) * other
    divisors = [size for size in range(1, other + 1) if other % size == 0]
    return min(divisors, key=lambda size: abs(size - wanted))
