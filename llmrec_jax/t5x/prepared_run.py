"""A recipe made ready for T5X: its stages done, its task registered, its model bound to what T5X needs.

The functions are what the run files bind to T5X's parameters; each reads one thing off the same run.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import seqio

from llmrec_jax import files
from llmrec_jax.launch import pipeline, stages
from llmrec_jax.launch.run_folder import RunFolder
from llmrec_jax.launch.train_stage import OWNER
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.t5x.driven_model import trainable
from llmrec_jax.t5x.partitioner import MeshPartitioner
from llmrec_jax.t5x.prepared_store import PreparedStore
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.schedules import Schedule
from llmrec_jax.training.trainer import CHECKPOINTS


@dataclasses.dataclass(frozen=True, eq=False)
class PreparedRun:
    """A recipe and the folder of its run; of a recipe that recommends by semantic IDs.

    Attributes:
      recipe: what the embedded engine would run, of one of `pipeline.KINDS`.
      checkpoints: T5X's `model_dir`, where it trains: stages that are not done are then done. None where it
        evaluates or infers: a checkpoint means nothing without the code table it was trained on, so that a
        stage is not done is then an error.
    """

    recipe: Any
    checkpoints: str | None = None

    @functools.cached_property
    def workspace(self) -> Any:
        """The run's folder, with the stages before training done.

        Raises:
          StageError: when a stage is not done and nothing is trained.
        """
        kind = pipeline.KINDS[type(self.recipe)]
        needed = [name for name in kind.to_train if name != 'train']
        if self.checkpoints is not None:
            workspace, _ = pipeline.run_stages(self.recipe, needed)
            self._sign(workspace)
            return workspace
        workspace = kind.workspace(self.recipe, None)
        every = pipeline.stages_of(workspace)
        done = {record.name for record in stages.run(workspace.root, every, ())}
        missing = [name for name in needed if name not in done]
        if missing:
            raise stages.StageError(
                f'{workspace.root}: stage {missing[0]!r} is not done, or was done otherwise than configured: '
                f'give the WORKDIR and the recipe that the checkpoint was trained with'
            )
        return workspace

    def _sign(self, workspace: RunFolder) -> None:
        """Says in the run's folder what its checkpoints are of; the embedded engine asks for it."""
        theirs = pathlib.Path(self.checkpoints).absolute() == (workspace.root / CHECKPOINTS).absolute()
        owner = workspace.root / OWNER
        if theirs and not owner.exists() and jax.process_index() == 0:
            every = pipeline.stages_of(workspace)
            files.write_json(owner, {'fingerprint': stages.fingerprints(every)['train']})

    @functools.cached_property
    def task(self) -> str:
        """SeqIO's name of the task, registered in this process."""
        return self.workspace.recipe.task.register()

    @functools.cached_property
    def model(self) -> EncoderDecoderModel:
        """The recipe's model with optimizer, vocabularies and the catalogue's trie."""
        features = seqio.get_mixture_or_task(self.task).output_features
        return dataclasses.replace(
            trainable(self.recipe.model, self.recipe.trainer),
            input_vocabulary=features['inputs'].vocabulary,
            output_vocabulary=features['targets'].vocabulary,
            trie=self.workspace.trie,
        )

    def examples(self, split: str) -> ColumnStore:
        """The materialised task's examples."""
        return self.workspace.examples(split)


def model(run: PreparedRun | PreparedStore) -> EncoderDecoderModel:
    """T5X's `model`."""
    return run.model


def task_name(run: PreparedRun) -> str:
    """T5X's `mixture_or_task_name`."""
    return run.task


def partitioner(run: PreparedRun | PreparedStore) -> MeshPartitioner:
    """T5X's `partitioner`, over the mesh and by the rules of the recipe's trainer."""
    trainer = run.recipe.trainer
    return MeshPartitioner(trainer.mesh, trainer.logical_axis_rules)


def learning_rate(run: PreparedRun | PreparedStore) -> Schedule:
    """T5X's `learning_rate_fn`, which it logs: the schedule that the optimizer goes by."""
    return run.recipe.trainer.optimizer.learning_rate


def initial_checkpoint(run: PreparedRun | PreparedStore) -> str | Sequence[str]:
    """T5X's `path` to restore from: empty for parameters drawn by the seed."""
    return run.recipe.trainer.initial_checkpoint or ()


def decoding_batch_size(run: PreparedRun) -> int:
    """Users decoded at once."""
    return run.recipe.decoding_batch_size


def eval_period(run: PreparedRun | PreparedStore) -> int:
    """Steps between evaluations."""
    return run.recipe.trainer.validate_every


def checkpoint_period(run: PreparedRun | PreparedStore) -> int:
    """Steps between checkpoints."""
    return run.recipe.trainer.checkpoint_every
