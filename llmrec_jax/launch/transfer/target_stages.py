"""Stages in the domain that is recommended in: whose histories are trained on, and how good the start is."""

import dataclasses

import numpy as np

from llmrec_jax.evaluation.protocol import SEEN_ITEMS, SPLITS
from llmrec_jax.launch.evaluation_stages import drawn, measure_all
from llmrec_jax.launch.sequential_stages import sequential_tasks_stage, sequential_train_stage
from llmrec_jax.launch.stages import Stage
from llmrec_jax.launch.transfer.workspace import TransferWorkspace
from llmrec_jax.models.sequential import ITEMS
from llmrec_jax.training.columns import ColumnStore, write_columns
from llmrec_jax.training.parameter_restore import restore_params


def transfer_tasks_stage(workspace: TransferWorkspace) -> Stage:
    """The examples of all users, and beside them those of the share of users that are fine-tuned on."""
    recipe, every = workspace.recipe, sequential_tasks_stage(workspace)

    def action(fingerprint: str) -> dict:
        summary = every.action(fingerprint)
        store = ColumnStore.open(workspace.examples_dir('train'))
        rows = chosen_rows(len(store), recipe.training_users, recipe.seed)
        chosen = write_columns(
            workspace.examples_dir('chosen'),
            {name: [store[row][name] for row in rows.tolist()] for name in store.features},
            {**store.manifest['provenance'], 'training_users': recipe.training_users, 'seed': recipe.seed},
        )
        predictions = int((chosen.lengths(ITEMS) - 1).sum())
        return {**summary, 'chosen_examples': len(chosen), 'predictions': predictions}

    return dataclasses.replace(
        every,
        config=(every.config, recipe.training_users, recipe.seed),
        outputs=(*every.outputs, 'tasks/chosen/manifest.json'),
        action=action,
    )


def chosen_rows(rows: int, share: float, seed: int) -> np.ndarray:
    """A share of the rows, at least one, ascending; a larger share holds those of a smaller one."""
    wanted = max(1, round(rows * share))
    return np.sort(np.random.default_rng(seed).permutation(rows)[:wanted])


def untuned_stage(workspace: TransferWorkspace) -> Stage:
    """What the parameters that fine-tuning starts from are worth; nothing where they were drawn."""
    recipe = workspace.recipe
    if not recipe.pretrained:
        return Stage('untuned', (), (), (), lambda _: {})

    def action(_: str) -> dict:
        params = restore_params(workspace.start, workspace.abstract_params)
        name = f'{recipe.name}_zero_shot' if recipe.renamer is None else f'{recipe.name}_renamed'
        return {'seconds': measure_all(workspace, 'untuned', {name: workspace.recommender(params)})}

    config = (drawn(workspace), recipe.name)
    lists = tuple(f'evaluation/untuned/{split}_{seen}.npz' for split in SPLITS for seen in SEEN_ITEMS)
    return Stage('untuned', ('corpus', 'start'), config, lists, action, on_all=True)


def transfer_train_stage(workspace: TransferWorkspace) -> Stage:
    """Fine-tunes from the starting parameters, validated by the ranking of the whole catalogue."""
    return dataclasses.replace(sequential_train_stage(workspace), needs=('tasks', 'start'))
