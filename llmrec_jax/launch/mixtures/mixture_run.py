"""Every task of a mixture, answered by one checkpoint of a text-to-text recipe."""

import logging
import pathlib

from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.environment import environment
from llmrec_jax.launch.mixtures.catalogue import Catalogue
from llmrec_jax.launch.mixtures.evaluation_task import EvaluationTask
from llmrec_jax.launch.mixtures.examination import Examination
from llmrec_jax.launch.mixtures.floors import Floors
from llmrec_jax.launch.mixtures.mixture_results import MixtureResults
from llmrec_jax.launch.mixtures.network import Network
from llmrec_jax.launch.mixtures.params_fingerprint import params_fingerprint
from llmrec_jax.launch.mixtures.respondents import Respondents
from llmrec_jax.launch.mixtures.task_names import tasks_of
from llmrec_jax.launch.text_workspace import TextWorkspace
from llmrec_jax.runs.fingerprint import describe, fingerprint
from llmrec_jax.training import processes

LOG = logging.getLogger(__name__)
SPLIT = 'test'


def evaluate_mixture(workspace: TextWorkspace) -> MixtureResults:
    """Results of every task that the recipe's mixture or task name means; process 0 keeps them too.

    Tasks that were finished before with the same examples, network and settings are not answered again.
    Results are kept by task, so mixtures that share a task share its answers.

    Raises:
      ValueError: when nothing bears the name.
      ColumnError: when a task's examples are absent or damaged.
      CheckpointError: when the checkpoint is absent, damaged, or of another model.
    """
    recipe = workspace.recipe
    tasks = [EvaluationTask.of(workspace, name, SPLIT) for name in task_names(workspace)]
    catalogue = Catalogue(workspace.item_names, workspace.vocabulary)
    recipe.answering.check_names(catalogue.longest)
    params = workspace.params
    parameters = params_fingerprint(params)
    vocabulary = workspace.vocabulary
    examination = Examination(
        respondents=Respondents(
            Network(workspace.model, params, vocabulary),
            catalogue,
            recipe.answering,
        ),
        identity=fingerprint(parameters, recipe.model, vocabulary.fingerprint),
        floors=Floors(workspace, SPLIT),
        input_length=recipe.tasks.feature_lengths['inputs'],
        directory=workspace.root / 'evaluation' / 'tasks',
        bootstrap=Bootstrap(seed=recipe.answering.seed),
    )
    found = []
    for number, task in enumerate(tasks, 1):
        LOG.info('task %d of %d: %s', number, len(tasks), task.name)
        found.append(examination.result(task))
    results = MixtureResults(
        mixture=recipe.mixture_or_task_name,
        system=recipe.name,
        checkpoint=checkpoint_name(workspace),
        parameters=parameters,
        answering=describe(recipe.answering),
        tasks=tuple(found),
        environment=environment(recipe.answering.seed),
    )
    processes.from_first(lambda: results.save(results_path(workspace)))
    return results


def task_names(workspace: TextWorkspace) -> tuple[str, ...]:
    """The tasks that the recipe's mixture or task name means.

    Raises:
      ValueError: when nothing bears the name.
    """
    training = workspace.training_mixture
    mixtures = {name: tasks for name, tasks in workspace.mixtures.items() if name != training}
    known = list(dict.fromkeys(task for tasks in mixtures.values() for task in tasks))
    return tasks_of(workspace.recipe.mixture_or_task_name, mixtures, known)


def results_path(workspace: TextWorkspace) -> pathlib.Path:
    """The results of the recipe's mixture."""
    return workspace.root / 'evaluation' / workspace.recipe.mixture_or_task_name / 'results.json'


def checkpoint_name(workspace: TextWorkspace) -> str:
    """The checkpoint that is evaluated, relative to the workdir where it lies there."""
    return workspace.checkpoint or str(workspace.best_checkpoint.relative_to(workspace.root))
