"""The stage that evaluates a text-to-text recipe on a mixture: the best checkpoint, or the one named."""

from llmrec_jax.launch.mixtures.mixture_run import evaluate_mixture, results_path
from llmrec_jax.launch.stages import Stage
from llmrec_jax.launch.text_workspace import TextWorkspace


def text_evaluate_stage(workspace: TextWorkspace) -> Stage:
    """Every task of the recipe's mixture; tasks that were finished before are not answered again."""
    recipe = workspace.recipe

    def action(_: str) -> dict:
        results = evaluate_mixture(workspace)
        return {
            'mixture': results.mixture,
            'checkpoint': results.checkpoint,
            'examples': {task.task: task.measured.examples for task in results.tasks},
            'seconds': {task.task: task.seconds for task in results.tasks},
        }

    config = (recipe.mixture_or_task_name, recipe.answering, recipe.model)
    if workspace.checkpoint is not None:
        config = (*config, workspace.checkpoint)
    needs = ('train',) if workspace.checkpoint is None else ('tasks',)
    output = str(results_path(workspace).relative_to(workspace.root))
    return Stage('evaluate', (*needs, 'floors'), config, (output,), action, on_all=True)
