"""The stages of a recipe in order, and the road that the launchers share."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from llmrec_jax.launch import stages
from llmrec_jax.launch.corpus_stages import corpus_stage
from llmrec_jax.launch.palr.recipe import PalrRecipe
from llmrec_jax.launch.palr.stages import (
    candidates_stage,
    palr_evaluate_stage,
    palr_floors_stage,
    palr_tasks_stage,
    palr_vocabulary_stage,
    profiles_stage,
)
from llmrec_jax.launch.palr.workspace import PalrWorkspace
from llmrec_jax.launch.profiles.profile_recipe import ProfileFolder, ProfileRecipe
from llmrec_jax.launch.profiles.profile_stage import profile_stage
from llmrec_jax.launch.run_folder import RunFolder
from llmrec_jax.launch.text_evaluation_stage import text_evaluate_stage
from llmrec_jax.launch.text_floors_stage import text_floors_stage
from llmrec_jax.launch.text_recipe import TextRecipe
from llmrec_jax.launch.text_stages import tasks_stage as text_tasks_stage
from llmrec_jax.launch.text_stages import text_train_stage, vocabulary_stage
from llmrec_jax.launch.text_workspace import TextWorkspace
from llmrec_jax.runs.command_line import write_config
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
    TextRecipe: Kind(
        TextWorkspace,
        (
            corpus_stage,
            vocabulary_stage,
            text_tasks_stage,
            text_floors_stage,
            text_train_stage,
            text_evaluate_stage,
        ),
        # The floors are fitted with the corpus at hand, so that evaluating imports no TensorFlow.
        ('corpus', 'vocabulary', 'tasks', 'floors', 'train'),
        ('floors', 'evaluate'),
    ),
    PalrRecipe: Kind(
        PalrWorkspace,
        (
            corpus_stage,
            profiles_stage,
            candidates_stage,
            palr_floors_stage,
            palr_vocabulary_stage,
            palr_tasks_stage,
            text_train_stage,
            palr_evaluate_stage,
        ),
        ('corpus', 'profiles', 'candidates', 'vocabulary', 'tasks', 'train'),
        ('floors', 'evaluate'),
    ),
}

# What `llmrec_jax.run` runs beside them: nothing is trained.
UNTRAINED_KINDS: Mapping[type, Kind] = {
    ProfileRecipe: Kind(ProfileFolder, (corpus_stage, profile_stage)),
}
ALL_KINDS: Mapping[type, Kind] = {**KINDS, **UNTRAINED_KINDS}


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
    if isinstance(recipe, TextRecipe) and (wanted is None or 'evaluate' in wanted):
        recipe.answering.check_devices()


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
