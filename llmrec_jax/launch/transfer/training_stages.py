"""Stages that train on the sources, find the target's names of codes, and make the start of fine-tuning."""

import dataclasses
import os
import pathlib
from collections.abc import Callable
from typing import Any

from llmrec_jax.launch.sequential_recommender import CatalogueRanking
from llmrec_jax.launch.stages import Stage
from llmrec_jax.launch.train_stage import law_of, ranking_metrics, set_aside
from llmrec_jax.launch.transfer.starting_parameters import drawn, transferred, whitened, write_parameters
from llmrec_jax.launch.transfer.workspace import SOURCES, START, TARGET, TransferWorkspace
from llmrec_jax.models.sequential import ITEMS
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel
from llmrec_jax.models.transfer.hierarchical import HierarchicalModel
from llmrec_jax.models.transfer.pretraining import ContrastivePretraining
from llmrec_jax.training import processes
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.loop import Validate
from llmrec_jax.training.parameter_restore import load_params
from llmrec_jax.training.trainer import CHECKPOINTS, Trainer


def pretraining_stage(workspace: TransferWorkspace) -> Stage:
    """Trains on the sources, judged by their own validation items; nothing where nothing is taken over."""
    recipe = workspace.recipe
    if not recipe.pretrained:
        return Stage('pretraining', (), (), (), lambda _: {})

    def action(fingerprint: str) -> dict:
        store = ColumnStore.open(workspace.sources_dir / 'train')
        model = _source_model(workspace, store)

        def start() -> dict[str, Any]:
            params = drawn(model, workspace.tables(SOURCES), recipe.seed)
            return whitened(params, model, workspace.source_vectors) if recipe.whitening else params

        folder = workspace.pretraining_dir
        validate = _source_validation(workspace, model)
        return _trained(folder, fingerprint, recipe.pretrainer, model, store, start, validate)

    config = (
        recipe.pretraining,
        law_of(recipe.pretrainer),
        (recipe.whitening, recipe.seed, recipe.validation_users, recipe.ks, recipe.shuffle),
    )
    outputs = (f'pretraining/{CHECKPOINTS}',)
    needs = ('pretraining_tasks', 'codes', 'item_vectors')
    return Stage('pretraining', needs, config, outputs, action, on_all=True)


def renaming_stage(workspace: TransferWorkspace) -> Stage:
    """Learns which codewords of the sources the target's codes are; nothing for codes that mean the same."""
    recipe = workspace.recipe
    if recipe.renamer is None:
        return Stage('renaming', (), (), (), lambda _: {})

    def action(fingerprint: str) -> dict:
        items = recipe.model.item_encoder.clone(renaming=True)
        model = dataclasses.replace(recipe.model, item_encoder=items).for_catalogue(workspace.facts)

        def start() -> dict[str, Any]:
            return transferred(drawn(model, workspace.tables(TARGET), recipe.seed), _pretrained(workspace))

        store = workspace.examples('train')
        return _trained(workspace.renaming_dir, fingerprint, recipe.renamer, model, store, start, None)

    config = (recipe.model, law_of(recipe.renamer), recipe.seed)
    needs = ('pretraining', 'codes', 'tasks')
    return Stage('renaming', needs, config, (f'renaming/{CHECKPOINTS}',), action, on_all=True)


def start_stage(workspace: TransferWorkspace) -> Stage:
    """Writes the parameters that fine-tuning starts from: what was learned, or drawn for the rival."""
    recipe = workspace.recipe

    def action(_: str) -> dict:
        params = drawn(workspace.model, workspace.tables(TARGET), recipe.seed)
        if recipe.renamer is not None:
            params = transferred(params, load_params(_last(workspace, 'renaming')))
        elif recipe.pretrained:
            params = transferred(params, _pretrained(workspace))
        elif recipe.whitening:
            params = whitened(params, workspace.model, workspace.item_vectors)
        write_parameters(params, workspace.root / START)
        return {'pretrained': recipe.pretrained}

    config = (recipe.model, recipe.pretrained, recipe.whitening, recipe.seed)
    needs = ('corpus', 'item_vectors', 'codes', 'pretraining', 'renaming')
    return Stage('start', needs, config, (START,), action, on_all=True)


def _trained(
    folder: pathlib.Path,
    fingerprint: str,
    trainer: Trainer,
    model: Any,
    store: ColumnStore,
    start: Callable[[], dict[str, Any]],
    validate: Validate | None,
) -> dict:
    """Trains in a folder of its own, or goes on where a killed run of the same recipe was."""
    processes.from_first(lambda: set_aside(folder, fingerprint))
    # Made again by a run that goes on, because it may have been killed while it was written.
    checkpoint = write_parameters(start(), folder / START)
    trainer = dataclasses.replace(trainer, initial_checkpoint=str(checkpoint))
    result = trainer.fit(model, store, folder, validate=validate)
    return {
        name: os.path.relpath(value, folder.parent) if isinstance(value, pathlib.Path) else value
        for name, value in dataclasses.asdict(result).items()
    }


def _source_model(
    workspace: TransferWorkspace, store: ColumnStore
) -> ContrastivePretraining | HierarchicalModel:
    model = workspace.recipe.pretraining.for_catalogue(workspace.source_facts)
    if isinstance(model, HierarchicalModel):
        return model.for_examples(len(store), int((store.lengths(ITEMS) - 1).sum()))
    return model


def _source_validation(workspace: TransferWorkspace, model: Any) -> Validate:
    """Recall and NDCG of the sources' validation items in the catalogue of all sources."""
    recipe, trainer = workspace.recipe, workspace.recipe.pretrainer
    scoring = model if isinstance(model, SequentialRecommenderModel) else model.recommender
    ranking = CatalogueRanking(
        model=scoring,
        mesh=trainer.mesh.build(),
        rules=trainer.logical_axis_rules,
        max_items=recipe.task.max_items,
        batch_size=recipe.ranking_batch_size,
        length_buckets=tuple(recipe.ranking_length_buckets),
    )
    cases = workspace.source_cases

    def validate(params, step):
        del step
        ranks = ranking.target_ranks(params, cases, seen_items=recipe.seen_items)
        return ranking_metrics(ranks, recipe.ks)

    return validate


def _pretrained(workspace: TransferWorkspace) -> Any:
    return load_params(_last(workspace, 'pretraining'))


def _last(workspace: TransferWorkspace, stage: str) -> pathlib.Path:
    """The best checkpoint of a training before the last, its newest where nothing was validated."""
    summary = workspace.stage_summary(stage)
    return workspace.root / (summary['best_checkpoint'] or summary['checkpoint'])
