"""The stage that asks one checkpoint every task of a mixture, and what comes of it."""

import dataclasses
import json
import logging
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from llmrec_jax.corpora.split_rules import LEAVE_LAST_OUT, described
from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.environment import environment
from llmrec_jax.evaluation.results import metric_suffix
from llmrec_jax.evaluation.task_results import TaskResult
from llmrec_jax.files import read_text, write_json
from llmrec_jax.runs.artifact import Artifact, place
from llmrec_jax.runs.fingerprint import describe, fingerprint
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.stages.corpus import CATALOGUE, SPLITS, USER_IDS
from llmrec_jax.stages.networks import Parameters
from llmrec_jax.stages.prompt_evaluation.baselines import Baselines
from llmrec_jax.stages.prompt_evaluation.decoding_config import DecodingConfig
from llmrec_jax.stages.prompt_evaluation.fit_baselines import FITTED
from llmrec_jax.stages.prompt_evaluation.item_names import ItemNames
from llmrec_jax.stages.prompt_evaluation.params_fingerprint import params_fingerprint
from llmrec_jax.stages.prompt_evaluation.placed_model import PlacedModel
from llmrec_jax.stages.prompt_evaluation.predictors import ModelPredictors
from llmrec_jax.stages.prompt_evaluation.task_evaluator import TaskEvaluator
from llmrec_jax.stages.prompt_tasks import ITEM_NAMES, TASKS, TextTasks, training_mixture, vocabulary
from llmrec_jax.training import processes

LOG = logging.getLogger(__name__)
SPLIT = 'test'
# A folder a task; see `TaskEvaluator.directory`.
ANSWERED: Artifact[pathlib.Path] = place('evaluation/tasks')


@dataclasses.dataclass(frozen=True)
class MixtureResults:
    """What one checkpoint reached on a mixture.

    Attributes:
      mixture: its name, or that of a single task.
      system: what the trained system is called.
      checkpoint: the folder the parameters came from.
      parameters: their hash, see `params_fingerprint`.
      decoding: how the system was asked, as JSON.
      tasks: the results, in the mixture's order.
      environment: where and with which versions.
      split: by which the corpus is split, as `split_rules.described` has it. In the file, names of metrics
        end in the rule's, but for leave-last-out.
    """

    mixture: str
    system: str
    checkpoint: str
    parameters: str
    decoding: Mapping[str, Any]
    tasks: tuple[TaskResult, ...]
    environment: Mapping[str, Any]
    split: Mapping[str, Any] = dataclasses.field(default_factory=lambda: described(LEAVE_LAST_OUT))

    def save(self, path: pathlib.Path) -> None:
        """Writes the results as JSON, whole or not at all."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        suffix = metric_suffix(self.split)
        tasks = [task.renamed(lambda metric: metric + suffix) for task in self.tasks]
        write_json(path, {**fields, 'tasks': [task.as_dict() for task in tasks]})

    @classmethod
    def load(cls, path: pathlib.Path) -> 'MixtureResults':
        """Reads what `save` wrote."""
        fields = json.loads(read_text(path))
        suffix = metric_suffix(fields.get('split', {}))
        tasks = [TaskResult.from_dict(task) for task in fields['tasks']]
        renamed = tuple(task.renamed(lambda metric: metric.removesuffix(suffix)) for task in tasks)
        return cls(**{**fields, 'tasks': renamed})


def mixture_results(mixture: str) -> Artifact[MixtureResults]:
    """The results of a mixture, or of one task."""
    return Artifact(
        f'evaluation/{mixture}/results.json',
        load=MixtureResults.load,
        save=lambda results, path: results.save(path),
    )


@dataclasses.dataclass(frozen=True)
class EvaluatePrompts(Stage):
    """Asks every task of a mixture.

    Tasks that were finished before with the same examples, network and settings are not asked again. Answers
    are kept by task, so that mixtures that share a task share its answers.

    Attributes:
      system: what the trained system is called.
      parameters: of the network that is asked.
      tasks: what there is.
      decoding: how the network is asked.
      mixture: a mixture of tasks that evaluate, or one of them.
      fitted: whether baselines were fitted on training answers, which tasks that are answered in words need.
    """

    system: str
    parameters: Parameters
    tasks: TextTasks
    decoding: DecodingConfig
    mixture: str
    fitted: bool = True
    name: ClassVar[str] = 'evaluate'
    phase: ClassVar[Phase] = 'evaluate'
    on_all: ClassVar[bool] = True

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Stage.reads`."""
        of_tasks = (TASKS, ITEM_NAMES, vocabulary(self.tasks.vocabulary))
        of_words = (FITTED,) if self.fitted else ()
        return (SPLITS, CATALOGUE, USER_IDS, *of_tasks, *of_words, *self.parameters.reads)

    @property
    def writes(self) -> Sequence[Artifact[Any]]:
        """See `Stage.writes`."""
        return (mixture_results(self.mixture), ANSWERED)

    def check(self, run: Run) -> None:
        """See `Stage.check`."""
        self.decoding.check_devices()
        self.parameters.check(run)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`.

        Raises:
          ValueError: when nothing bears the mixture's name.
          ColumnError: when a task's examples are absent or damaged.
          CheckpointError: when the checkpoint is absent, damaged, or of another model.
        """
        folder = run[TASKS]
        names = folder.named(self.mixture, training_mixture(self.tasks))
        asked = [folder.evaluation_task(name, SPLIT) for name in names]
        evaluator = self.evaluator(run)
        found = []
        for number, task in enumerate(asked, 1):
            LOG.info('task %d of %d: %s', number, len(asked), task.name)
            found.append(evaluator.result(task))
        results = MixtureResults(
            mixture=self.mixture,
            system=self.system,
            checkpoint=self.parameters.called(run),
            parameters=params_fingerprint(evaluator.predictors.network.params),
            decoding=describe(self.decoding),
            tasks=tuple(found),
            environment=environment(self.decoding.seed),
            split=described(self.tasks.split),
        )
        if processes.is_first():
            run.put(mixture_results(self.mixture), results)
        return {
            'mixture': results.mixture,
            'checkpoint': results.checkpoint,
            'examples': {task.task: task.measured.examples for task in results.tasks},
            'seconds': {task.task: task.seconds for task in results.tasks},
        }

    def evaluator(self, run: Run) -> TaskEvaluator:
        """What the run's network is evaluated with."""
        words, splits = run[vocabulary(self.tasks.vocabulary)], run[SPLITS]
        catalogue = ItemNames(run[ITEM_NAMES], words)
        self.decoding.check_names(catalogue.longest)
        params = self.parameters.restore(run)
        network = PlacedModel(self.parameters.network.model(run), params, words)
        identity = fingerprint(params_fingerprint(params), self.parameters.network, words.fingerprint)
        return TaskEvaluator(
            predictors=ModelPredictors(network, catalogue, self.decoding),
            identity=identity,
            baselines=Baselines(
                fitted=run[FITTED] if self.fitted else {},
                train=splits.train,
                split=getattr(splits, SPLIT),
                categories=run[CATALOGUE].categories,
            ),
            user_ids=run[USER_IDS],
            input_length=self.tasks.feature_lengths['inputs'],
            directory=run.path(ANSWERED),
            bootstrap=Bootstrap(seed=self.decoding.seed),
        )
