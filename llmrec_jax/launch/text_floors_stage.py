"""The stage that fits the floors of tasks answered in words, on the answers that training shows.

It reads the corpus, so that evaluating need not. Floors of tasks that name items are fitted where they are
asked.
"""

import dataclasses
import logging
from typing import TYPE_CHECKING

import numpy as np

from llmrec_jax.evaluation.floors.frequent_text import FrequentText
from llmrec_jax.evaluation.floors.rating_means import Ratings, rating_floors
from llmrec_jax.evaluation.rating_metrics import true_stars
from llmrec_jax.evaluation.text_answers import TEXT_ANSWERS
from llmrec_jax.files import write_json
from llmrec_jax.launch.mixtures.catalogue import Catalogue
from llmrec_jax.launch.mixtures.evaluation_task import STARS
from llmrec_jax.launch.mixtures.fitted_floors import FittedFloor, StarsFloors, TextFloor, save_floor
from llmrec_jax.launch.mixtures.mixture_run import task_names
from llmrec_jax.launch.stages import Stage
from llmrec_jax.launch.text_workspace import TextWorkspace

if TYPE_CHECKING:
    from tasks.prompt_tasks import PromptTask, TaskSet

LOG = logging.getLogger(__name__)
SUMMARY = 'floors/summary.json'


def text_floors_stage(workspace: TextWorkspace) -> Stage:
    """Floors of every task that evaluates and is answered in words."""

    def action(_: str) -> dict:
        # What cannot be evaluated is told before hours of training, not after them.
        task_names(workspace)
        catalogue = Catalogue(workspace.item_names, workspace.vocabulary)
        workspace.recipe.answering.check_names(catalogue.longest)
        users = workspace.stage_summary('corpus')['users']
        floors, without = fitted_floors(workspace.task_set, users, workspace.n_items)
        for name, floor in floors.items():
            save_floor(floor, workspace.floor_path(name))
        summary = {'tasks': len(floors), 'tasks_without_floors': without}
        write_json(workspace.root / SUMMARY, summary)
        return summary

    return Stage('floors', ('corpus', 'tasks'), (), (SUMMARY,), action)


def fitted_floors(tasks: 'TaskSet', users: int, items: int) -> tuple[dict[str, FittedFloor], list[str]]:
    """The floors of tasks that evaluate and are answered in words, by name, and the names of those without.

    A task whose records training lacks, as one over the items of another corpus, has the floors of a task
    whose targets are written alike.

    Args:
      tasks: with the training records.
      users: how many training has.
      items: size of its catalogue.
    """
    fitted: dict[tuple[str, str], FittedFloor] = {}
    floors, without = {}, []
    for task in tasks.evaluation:
        if task.answer not in TEXT_ANSWERS:
            continue
        source = _with_training(tasks, task)
        if source is None:
            without.append(task.name)
            continue
        key = source.group.name, source.template.targets
        if key not in fitted:
            LOG.info('fitting the floors of %s, answered by %r', *key)
            fitted[key] = _fit(source, users, items)
        # Items of another corpus are not those that training knows by their rows.
        own = task.group.name == source.group.name
        floors[task.name] = dataclasses.replace(fitted[key], knows_items=own)
    return floors, without


def _with_training(tasks: 'TaskSet', task: 'PromptTask') -> 'PromptTask | None':
    """`task` over training records; where there are none, another whose targets are written alike."""
    records = {trained.group.name: trained.records['train'] for trained in tasks.training}
    alike = [other for other in tasks.evaluation if other.template.targets == task.template.targets]
    for other in (task, *alike):
        if other.group.name in records:
            return dataclasses.replace(other, records={'train': records[other.group.name]})
    return None


def _fit(source: 'PromptTask', users: int, items: int) -> FittedFloor:
    """The floors of the answers to all training records of a task."""
    examples = [
        (example['targets'], int(example['user']), int(example['item']))
        for example in source.examples('train')
    ]
    texts, of_user, of_item = zip(*examples, strict=True)
    if source.answer != STARS:
        return TextFloor(FrequentText.fit(texts, of_item))
    ratings = Ratings(
        user=np.asarray(of_user, np.int64),
        item=np.asarray(of_item, np.int64),
        stars=true_stars(texts, *source.scale),
        users=users,
        items=items,
    )
    return StarsFloors(rating_floors(ratings))
