"""The stage that fits the baselines of tasks answered in words, on the answers that training shows.

It reads the corpus, so that evaluating need not. Baselines of tasks that name items are fitted where they are
asked.
"""

import dataclasses
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from llmrec_jax import marks
from llmrec_jax.evaluation.answer_kinds.all_kinds import answer_kind
from llmrec_jax.evaluation.answer_kinds.kind import TrainingAnswers
from llmrec_jax.evaluation.baselines.fitted import FittedBaselines
from llmrec_jax.runs.artifact import Artifact, json_artifact
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.stages.corpus import CORPUS_FACTS
from llmrec_jax.stages.prompt_evaluation.decoding_config import DecodingConfig
from llmrec_jax.stages.prompt_evaluation.item_names import ItemNames
from llmrec_jax.stages.prompt_tasks import (
    ITEM_NAMES,
    TASKS,
    TextTasks,
    task_set,
    training_mixture,
    vocabulary,
)

if TYPE_CHECKING:
    from tasks.prompt_tasks import PromptTask, TaskSet

LOG = logging.getLogger(__name__)
# Name of a task to its baselines as JSON.
FITTED: Artifact[dict[str, Any]] = json_artifact('fitted_baselines.json')


@dataclasses.dataclass(frozen=True)
class FitBaselines(Stage):
    """Baselines of every task that evaluates and is answered in words.

    Attributes:
      tasks: of the run.
      decoding: looked at, so that what cannot be evaluated is told before hours of training, not after them.
      mixture: what is evaluated; looked at likewise.
    """

    tasks: TextTasks
    decoding: DecodingConfig = marks.without_effect()
    mixture: str = marks.without_effect()
    name: ClassVar[str] = 'floors'
    phase: ClassVar[Phase] = 'prepare'
    writes: ClassVar = (FITTED,)

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Stage.reads`."""
        return (CORPUS_FACTS, TASKS, ITEM_NAMES, vocabulary(self.tasks.vocabulary))

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        run[TASKS].named(self.mixture, training_mixture(self.tasks))
        names = ItemNames(run[ITEM_NAMES], run[vocabulary(self.tasks.vocabulary)])
        self.decoding.check_names(names.longest)
        users, items = run[CORPUS_FACTS]['users'], len(run[ITEM_NAMES])
        fitted, without = fitted_baselines(task_set(self.tasks, run), users, items)
        run.put(FITTED, {name: baselines.as_json() for name, baselines in fitted.items()})
        return {'tasks': len(fitted), 'tasks_without_floors': without}


def fitted_baselines(
    tasks: 'TaskSet', users: int, items: int
) -> tuple[dict[str, FittedBaselines], list[str]]:
    """The baselines of tasks that evaluate and are answered in words, and the names of tasks without any.

    A task whose records training lacks, as one over the items of another corpus, has the baselines of a task
    whose targets are written alike.

    Args:
      tasks: with the training records.
      users: how many training has.
      items: size of its catalogue.

    Returns:
      Name of a task to its baselines; and names of tasks that are answered in words and have none.
    """
    fitted: dict[tuple[str, str], FittedBaselines] = {}
    found, without = {}, []
    for task in tasks.evaluation:
        kind = answer_kind(task.answer)
        if not kind.in_words:
            continue
        source = _with_training(tasks, task)
        if source is None:
            without.append(task.name)
            continue
        key = source.group.name, source.template.targets
        if key not in fitted:
            LOG.info('fitting the baselines of %s, answered by %r', *key)
            fitted[key] = answer_kind(source.answer).fit_baselines(_answers(source, users, items))
        # Items of another corpus are not those that training knows by their rows.
        own = task.group.name == source.group.name
        found[task.name] = fitted[key] if own else fitted[key].without_items()
    return found, without


def _with_training(tasks: 'TaskSet', task: 'PromptTask') -> 'PromptTask | None':
    """`task` over training records; where there are none, another whose targets are written alike."""
    records = {trained.group.name: trained.records['train'] for trained in tasks.training}
    alike = [other for other in tasks.evaluation if other.template.targets == task.template.targets]
    for other in (task, *alike):
        if other.group.name in records:
            return dataclasses.replace(other, records={'train': records[other.group.name]})
    return None


def _answers(source: 'PromptTask', users: int, items: int) -> TrainingAnswers:
    examples = [
        (example['targets'], int(example['user']), int(example['item']))
        for example in source.examples('train')
    ]
    texts, user, item = zip(*examples, strict=True)
    return TrainingAnswers(
        texts, np.asarray(user, np.int64), np.asarray(item, np.int64), users, items, source.scale
    )
