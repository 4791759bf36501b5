"""The stages of a recipe in order, and the road that the launchers share."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from llmrec_jax.launch import stages
from llmrec_jax.launch.corpus_stages import corpus_stage
from llmrec_jax.launch.evaluation_stages import ceiling_stage, floors_stage
from llmrec_jax.launch.run_folder import RunFolder
from llmrec_jax.launch.sampled_stages import sampled_floors_stage, sampled_stage
from llmrec_jax.launch.sequential_recipe import SequentialRecipe
from llmrec_jax.launch.sequential_stages import (
    sequential_evaluate_stage,
    sequential_tasks_stage,
    sequential_train_stage,
)
from llmrec_jax.launch.sequential_workspace import SequentialWorkspace
from llmrec_jax.launch.transfer import stage_order as transfer
from llmrec_jax.launch.transfer.recipe import TransferRecipe
from llmrec_jax.launch.transfer.workspace import TransferWorkspace
from llmrec_jax.launch.two_tower_recipe import TwoTowerRecipe
from llmrec_jax.launch.two_tower_stages import (
    index_stage,
    two_tower_evaluate_stage,
    two_tower_text_stage,
    two_tower_train_stage,
)
from llmrec_jax.launch.two_tower_workspace import TwoTowerWorkspace
from llmrec_jax.runs.command_line import write_config
from llmrec_jax.training.mesh import check_batch
from llmrec_jax.training.parameter_restore import check_params, fresh_paths
from llmrec_jax.training.trainer import CHECKPOINTS


class Kind(NamedTuple):
    """A kind of recipe.

    Attributes:
      workspace: its folder.
      stages: what makes each of its stages, in order.
      to_train: names of the stages up to training; none where nothing is trained.
      to_measure: names of the stages that evaluate what is trained.
    """

    workspace: Callable[[Any, str | None], Any]
    stages: tuple[Callable[[Any], stages.Stage], ...]
    to_train: tuple[str, ...] = ()
    to_measure: tuple[str, ...] = ()


KINDS: Mapping[type, Kind] = {
    SequentialRecipe: Kind(
        SequentialWorkspace,
        (
            corpus_stage,
            floors_stage,
            sampled_floors_stage,
            ceiling_stage,
            sequential_tasks_stage,
            sequential_train_stage,
            sequential_evaluate_stage,
            sampled_stage,
        ),
        ('corpus', 'tasks', 'train'),
        ('floors', 'sampled_floors', 'ceiling', 'evaluate', 'sampled'),
    ),
    TwoTowerRecipe: Kind(
        TwoTowerWorkspace,
        (
            corpus_stage,
            floors_stage,
            sampled_floors_stage,
            ceiling_stage,
            two_tower_text_stage,
            sequential_tasks_stage,
            two_tower_train_stage,
            index_stage,
            two_tower_evaluate_stage,
            sampled_stage,
        ),
        ('corpus', 'item_vectors', 'tasks', 'train'),
        ('floors', 'sampled_floors', 'ceiling', 'index', 'evaluate', 'sampled'),
    ),
    TransferRecipe: Kind(TransferWorkspace, transfer.STAGES, transfer.TO_TRAIN, transfer.TO_MEASURE),
}

ALL_KINDS = KINDS


def run_stages(
    recipe: Any, wanted: Sequence[str] | None, checkpoint: str | None = None
) -> tuple[Any, list[stages.StageRecord]]:
    """Runs stages of a recipe and returns the records of all that are done.

    Args:
      recipe: of one of `ALL_KINDS`.
      wanted: names of the stages, or None for all.
      checkpoint: what to evaluate in place of the best checkpoint of the workdir.
    """
    workspace = ALL_KINDS[type(recipe)].workspace(recipe, checkpoint)
    if type(recipe) in KINDS:
        _check_devices(recipe, wanted)
        _check_checkpoints(workspace, wanted)
    write_config(workspace.config_path)
    return workspace, stages.run(workspace.root, stages_of(workspace), wanted)


def stages_of(workspace: RunFolder) -> list[stages.Stage]:
    """The stages of a workspace's recipe, in order."""
    return [make(workspace) for make in ALL_KINDS[type(workspace.recipe)].stages]


def _check_devices(recipe: Any, wanted: Sequence[str] | None) -> None:
    """Finds out before any work whether training and decoding can be dealt out to this run's devices."""
    if wanted is None or 'train' in wanted:
        recipe.trainer.check_devices()
    if isinstance(recipe, SequentialRecipe) and (wanted is None or {'train', 'evaluate'} & set(wanted)):
        trainer = recipe.trainer
        check_batch(trainer.mesh.build(), trainer.logical_axis_rules, recipe.ranking_batch_size)
    if isinstance(recipe, TransferRecipe):
        for name, trainer in (('pretraining', recipe.pretrainer), ('renaming', recipe.renamer)):
            if trainer is not None and (wanted is None or name in wanted):
                trainer.check_devices()


def _check_checkpoints(workspace: RunFolder, wanted: Sequence[str] | None) -> None:
    """Finds out before any work whether checkpoints that were named are of the recipe's model."""
    if not workspace.network_is_known:
        return
    named = [(workspace.checkpoint, None)]
    if (wanted is None or 'train' in wanted) and not any((workspace.root / CHECKPOINTS).glob('checkpoint_*')):
        trainer = workspace.recipe.trainer
        fresh = fresh_paths(workspace.abstract_params, trainer.fresh_parameters)
        named.append((trainer.initial_checkpoint, fresh))
    for checkpoint, fresh in named:
        if checkpoint is not None:
            check_params(checkpoint, workspace.abstract_params, fresh)
