"""Every task of a mixture, answered by one checkpoint of a text-to-text recipe."""

import dataclasses
import logging
import pathlib
from collections.abc import Mapping
from typing import Any

from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.task_results import TaskResult
from llmrec_jax.files import write_json
from llmrec_jax.launch.fingerprint import fingerprint
from llmrec_jax.launch.mixtures.catalogue import Catalogue
from llmrec_jax.launch.mixtures.evaluation_task import EvaluationTask
from llmrec_jax.launch.mixtures.examination import Examination
from llmrec_jax.launch.mixtures.network import Network
from llmrec_jax.launch.mixtures.params_fingerprint import params_fingerprint
from llmrec_jax.launch.mixtures.respondents import Respondents
from llmrec_jax.launch.mixtures.task_names import tasks_of
from llmrec_jax.launch.text_workspace import TextWorkspace
from llmrec_jax.training import processes

LOG = logging.getLogger(__name__)
SPLIT = 'test'
TASKS, RESULTS = 'tasks', 'results.json'


def evaluate_mixture(workspace: TextWorkspace) -> list[TaskResult]:
    """Results of every task that the recipe's mixture or task name means, in the mixture's order.

    Tasks that were finished before with the same examples, network and settings are not answered again. Results
    are kept by task, so mixtures that share a task share its answers.

    Raises:
      ValueError: when nothing bears the name.
      ColumnError: when a task's examples are absent or damaged.
      CheckpointError: when the checkpoint is absent, damaged, or of another model.
    """
    recipe = workspace.recipe
    names = task_names(workspace)
    tasks = [EvaluationTask.of(workspace, name, SPLIT) for name in names]
    params = workspace.params
    network = Network(recipe.model, params, workspace.vocabulary)
    examination = Examination(
        respondents=Respondents(network, Catalogue(workspace.item_names, workspace.vocabulary), recipe.answering),
        identity=fingerprint(params_fingerprint(params), recipe.model, workspace.vocabulary.fingerprint),
        input_length=recipe.tasks.feature_lengths['inputs'],
        directory=evaluation_dir(workspace) / TASKS,
        bootstrap=Bootstrap(seed=recipe.answering.seed),
    )
    results = []
    for number, task in enumerate(tasks, 1):
        LOG.info('task %d of %d: %s', number, len(tasks), task.name)
        results.append(examination.result(task))
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


def evaluation_dir(workspace: TextWorkspace) -> pathlib.Path:
    """Receives a folder a mixture, and the answers to all tasks."""
    return workspace.root / 'evaluation'
