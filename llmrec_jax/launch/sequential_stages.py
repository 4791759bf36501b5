"""Stages of a sequential recommender: its examples, its training and its evaluation.

The corpus is prepared, and the floors and the ceiling are measured, as in any recipe that ranks a
catalogue.
"""

from llmrec_jax.evaluation.protocol import SEEN_ITEMS, SPLITS
from llmrec_jax.launch.evaluation_stages import drawn, measure
from llmrec_jax.launch.sequential_workspace import SequentialWorkspace
from llmrec_jax.launch.stages import Stage
from llmrec_jax.launch.train_stage import ranking_metrics, training_stage
from llmrec_jax.models.sequential import ITEMS
from llmrec_jax.training.loop import Validate


def sequential_tasks_stage(workspace: SequentialWorkspace) -> Stage:
    """Runs the SeqIO task over the training histories and keeps the examples as columns.

    Validation and test are asked from the corpus's own splits, which every system is asked from.
    """
    recipe = workspace.recipe

    def action(_: str) -> dict:
        from llmrec_jax.stages.materialise import materialise

        name = recipe.task.register()
        store = materialise(
            name,
            'train',
            workspace.examples_dir('train'),
            feature_lengths=recipe.task.feature_lengths,
            kept=('user',),
            provenance={'corpus': workspace.stage_summary('corpus')['fingerprint']},
        )
        lengths = store.lengths(ITEMS)
        return {
            'task': name,
            'examples': {'train': len(store)},
            'predictions': int((lengths - 1).sum()),
            'mean_input_items': float((lengths - 1).mean()),
        }

    outputs = ('tasks/train/manifest.json',)
    return Stage('tasks', ('corpus',), (recipe.task.max_items,), outputs, action)


def sequential_train_stage(workspace: SequentialWorkspace) -> Stage:
    """Trains the recipe's model, validated by its ranking of the whole catalogue."""
    recipe = workspace.recipe
    return training_stage(
        workspace,
        recipe.model,
        (recipe.validation_users, recipe.seed, recipe.ks, recipe.seen_items),
        lambda: workspace.examples('train'),
        lambda: _validation(workspace),
    )


def sequential_evaluate_stage(workspace: SequentialWorkspace) -> Stage:
    """The best checkpoint, or the one that was named, on the test users and on the validation users."""
    recipe = workspace.recipe

    def action(_: str) -> dict:
        recommender = workspace.recommender(workspace.params)
        seconds = {}
        for split in SPLITS:
            for seen_items in SEEN_ITEMS if split == 'test' else (recipe.seen_items,):
                seconds |= measure(workspace, 'evaluate', {recipe.name: recommender}, split, seen_items)
        checkpoint = workspace.checkpoint or str(workspace.best_checkpoint.relative_to(workspace.root))
        return {'seconds': seconds, 'checkpoint': checkpoint}

    config = (drawn(workspace), recipe.name, recipe.seen_items)
    if workspace.checkpoint is not None:
        # It may have been trained elsewhere, so it is the network that counts and not what is trained here.
        config = (*config, recipe.model, workspace.checkpoint)
    lists = tuple(f'evaluation/evaluate/test_{seen}.npz' for seen in SEEN_ITEMS)
    needs = ('train',) if workspace.checkpoint is None else ('tasks',)
    return Stage('evaluate', needs, config, lists, action, on_all=True)


def _validation(workspace: SequentialWorkspace) -> Validate:
    recipe, cases, ranking = workspace.recipe, workspace.cases('validation'), workspace.ranking

    def validate(params, step):
        del step
        ranks = ranking.target_ranks(params, cases, seen_items=recipe.seen_items)
        return ranking_metrics(ranks, recipe.ks)

    return validate
