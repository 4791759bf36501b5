"""Stages that make a vocabulary and keep the examples of tasks made of prompts, and what they leave.

| path | holds |
|---|---|
| `vocabulary/` | the SentencePiece model |
| `item_names.json` | what each item of the catalogue is called, by its row |
| `tasks/mixtures.json` | name of a mixture -> names of its tasks; that of training has itself |
| `tasks/<task>/<split>/` | a `ColumnStore`: `inputs`, `targets`, the integer columns that `task.json` names |
| `tasks/<task>/<split>/references.jsonl` | the targets as texts, one JSON string a row |
| `tasks/<task>/task.json` | `PromptTask.facts` |
"""

import dataclasses
import functools
import json
import logging
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from llmrec_jax import marks
from llmrec_jax.corpora.split_rules import SplitRule
from llmrec_jax.files import read_text, text_written_whole, write_json
from llmrec_jax.runs.artifact import Artifact, json_artifact
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.stages.corpus import CORPUS_FACTS
from llmrec_jax.stages.prompt_evaluation.evaluation_task import EvaluationTask, tasks_of
from llmrec_jax.stages.tasks import examples
from llmrec_jax.text.text_vocabulary import TextVocabulary
from llmrec_jax.text.vocabulary_sources import VocabularySource
from llmrec_jax.training.columns import ColumnError, ColumnStore

if TYPE_CHECKING:
    from tasks.prompt_tasks import TaskSet

LOG = logging.getLogger(__name__)
EVALUATED_SPLITS = ('test',)
TRAIN_SHARDS = 16


@runtime_checkable
class TextTasks(Protocol):
    """A frozen dataclass that makes tasks of prompts; `tasks.p5.P5Tasks` is one.

    Attributes:
      corpus: what the tasks are over.
      data_dir: where it is prepared.
      workdir: the run's.
      vocabulary: of inputs and targets alike.
      feature_lengths: tokens of 'inputs' and 'targets'.
      epochs: of the training records, each with draws of its own, that are materialised.
      split: what of the corpus is held out.
    """

    corpus: Any
    data_dir: str
    workdir: str
    vocabulary: VocabularySource
    feature_lengths: Mapping[str, int]
    epochs: int
    split: SplitRule

    @property
    def name(self) -> str:
        """What the names of all tasks and mixtures begin with."""

    def build(self) -> 'TaskSet':
        """Reads the corpus and makes the tasks; imports TensorFlow."""


@dataclasses.dataclass(frozen=True, eq=False)
class PromptTaskFolder:
    """The materialised tasks of a run.

    Attributes:
      root: the folder `tasks` of the workdir.
    """

    root: pathlib.Path

    @functools.cached_property
    def mixtures(self) -> Mapping[str, list[str]]:
        """Name of a mixture to the names of its tasks."""
        return json.loads(read_text(self.root / 'mixtures.json'))

    def named(self, name: str, training: str) -> tuple[str, ...]:
        """The tasks that the name of an evaluation mixture, or of one task, means.

        Args:
          name: of a mixture or a task.
          training: the mixture that is trained on, which evaluates nothing.

        Raises:
          ValueError: when nothing bears the name.
        """
        mixtures = {mixture: tasks for mixture, tasks in self.mixtures.items() if mixture != training}
        known = list(dict.fromkeys(task for tasks in mixtures.values() for task in tasks))
        return tasks_of(name, mixtures, known)

    def examples(self, task: str, split: str) -> ColumnStore:
        """A task's examples."""
        return ColumnStore.open(self.root / task / split)

    def references(self, task: str, split: str) -> list[str]:
        """The target of each row of `examples`, as it was rendered."""
        with (self.root / task / split / 'references.jsonl').open(encoding='utf-8') as file:
            return [json.loads(line) for line in file]

    def facts(self, task: str) -> dict[str, Any]:
        """What who evaluates must know; see `tasks.prompt_tasks.PromptTask.facts`."""
        return json.loads(read_text(self.root / task / 'task.json'))

    def evaluation_task(self, task: str, split: str) -> EvaluationTask:
        """A task as it is asked.

        Raises:
          ColumnError: when its examples are absent or damaged.
        """
        return EvaluationTask(
            task, self.facts(task), self.examples(task, split), self.references(task, split)
        )


TASKS: Artifact[PromptTaskFolder] = Artifact('tasks', load=PromptTaskFolder)
ITEM_NAMES: Artifact[list[str]] = json_artifact('item_names.json')


def vocabulary(source: VocabularySource) -> Artifact[TextVocabulary]:
    """The run's vocabulary."""
    return Artifact('vocabulary', load=source.load_at)


def training_mixture(tasks: TextTasks) -> str:
    """SeqIO's name of the mixture that is trained on."""
    return f'{tasks.name}_train'


def training_examples(tasks: TextTasks, split: str) -> Artifact[ColumnStore]:
    """The materialised examples of the training mixture."""
    return examples(split, f'tasks/{training_mixture(tasks)}')


def task_set(tasks: TextTasks, run: Run) -> 'TaskSet':
    """The tasks, made of the corpus once in a process; imports TensorFlow."""
    return run.once(('task_set', repr(tasks)), tasks.build)


@dataclasses.dataclass(frozen=True)
class MakeVocabulary(Stage):
    """Puts the vocabulary into the workdir, trained on the training prompts where it is not a public one.

    Attributes:
      tasks: whose prompts.
      room: rows of the network's embedding, which must hold all tokens.
      made_from: artifacts that the tasks read by themselves; their stages are needed.
    """

    tasks: TextTasks
    room: int = marks.without_effect()
    made_from: tuple[Artifact[Any], ...] = marks.without_effect(())
    name: ClassVar[str] = 'vocabulary'
    phase: ClassVar[Phase] = 'prepare'

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Stage.reads`."""
        return (CORPUS_FACTS, *self.made_from)

    @property
    def writes(self) -> Sequence[Artifact[Any]]:
        """See `Stage.writes`."""
        return (vocabulary(self.tasks.vocabulary),)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        place = run.path(vocabulary(self.tasks.vocabulary))
        made = self.tasks.vocabulary.make_at(place, task_set(self.tasks, run).training_texts())
        if made.size > self.room:
            raise ValueError(
                f'the vocabulary has {made.size} tokens, but the network has room for {self.room}: raise '
                'T5Config.vocab_size'
            )
        return {'size': made.size, 'fingerprint': made.fingerprint}


@dataclasses.dataclass(frozen=True)
class MaterialisePrompts(Stage):
    """Runs the SeqIO tasks and keeps their examples: the training mixture's, and each task's that evaluates.

    A killed run goes on with the first task that is not complete.

    Attributes:
      tasks: what is trained on and evaluated.
      validation_examples: drawn from the validation split of the training mixture, by its rates.
      seed: of the draw of examples from the mixture.
      made_from: artifacts that the tasks read by themselves; their stages are needed.
    """

    tasks: TextTasks
    validation_examples: int
    seed: int = 0
    made_from: tuple[Artifact[Any], ...] = marks.without_effect(())
    name: ClassVar[str] = 'tasks'
    phase: ClassVar[Phase] = 'prepare'

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Stage.reads`."""
        return (CORPUS_FACTS, vocabulary(self.tasks.vocabulary), *self.made_from)

    @property
    def writes(self) -> Sequence[Artifact[Any]]:
        """See `Stage.writes`."""
        kept = [training_examples(self.tasks, split) for split in ('train', 'validation')]
        return (TASKS, ITEM_NAMES, *kept)

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        from tasks import prompt_pipeline

        made, folder = task_set(self.tasks, run), run.path(TASKS)
        prompt_pipeline.register(made, run[vocabulary(self.tasks.vocabulary)])
        kept = functools.partial(self._kept, folder, run.fingerprint)
        mixture, total = training_mixture(self.tasks), self.tasks.epochs * made.epoch_size
        stores = {
            'train': kept(mixture, 'train', (), examples=total, num_shards=TRAIN_SHARDS),
            'validation': kept(mixture, 'validation', (), examples=self.validation_examples),
        }
        for name in dict.fromkeys(name for names in made.mixtures.values() for name in names):
            task = made.task(name)
            for split in EVALUATED_SPLITS:
                stores[f'{name}/{split}'] = kept(name, split, task.columns)
                with text_written_whole(folder / name / split / 'references.jsonl') as file:
                    for example in task.examples(split):
                        file.write(json.dumps(example['targets'], ensure_ascii=False) + '\n')
            write_json(folder / name / 'task.json', task.facts())
        run.put(ITEM_NAMES, list(made.item_names))
        write_json(folder / 'mixtures.json', {mixture: [mixture], **made.mixtures})
        return {
            'mixtures': {name: list(names) for name, names in made.mixtures.items()},
            'examples': {name: len(store) for name, store in stores.items()},
            'epoch': dict(made.rates),
            'mean_input_tokens': float(stores['train'].lengths('inputs').mean()),
            'cut': self._cut(stores),
            **made.facts,
        }

    def _kept(
        self,
        folder: pathlib.Path,
        fingerprint: str,
        name: str,
        split: str,
        columns: tuple[str, ...],
        **how: Any,
    ) -> ColumnStore:
        """The examples of a task or mixture: those that a killed run of this very stage left, or made now."""
        from llmrec_jax.stages.materialise import materialise

        directory = folder / name / split
        try:
            store = ColumnStore.open(directory)
            if store.manifest['provenance'].get('stage') == fingerprint:
                return store
        except ColumnError:
            pass
        LOG.info('materialising %s, %s', name, split)
        return materialise(
            name,
            split,
            directory,
            feature_lengths=self.tasks.feature_lengths,
            kept=columns,
            tallied=('inputs_cut', 'targets_cut'),
            provenance={'stage': fingerprint},
            seed=self.seed,
            **how,
        )

    def _cut(self, stores: Mapping[str, ColumnStore]) -> dict[str, dict[str, dict[str, int]]]:
        """Task to feature to how many rows are cut and how many tokens they lose, where any are."""
        cut: dict[str, dict[str, dict[str, int]]] = {}
        for name, store in stores.items():
            tallies = store.manifest['provenance']['tallies']
            for feature, length in self.tasks.feature_lengths.items():
                counted = tallies[f'{feature}_cut']
                if counted['rows']:
                    cut.setdefault(name, {})[feature] = counted
                    LOG.warning(
                        '%s: %d of %d rows have %s longer than %d tokens and are cut there, %d tokens in '
                        'all: raise the feature lengths, or shorten titles, reviews, histories or candidates',
                        name, counted['rows'], len(store), feature, length, counted['total'],
                    )  # fmt: skip
        return cut
