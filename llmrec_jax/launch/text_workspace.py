"""The folder of a text-to-text recipe's run: where everything lies, and what was made there.

| path | holds |
|---|---|
| `vocabulary/` | the SentencePiece model |
| `item_names.json` | what each item of the catalogue is called, by its row |
| `tasks/mixtures.json` | name of a mixture -> names of its tasks; that of training has itself |
| `tasks/<task>/<split>/` | a `ColumnStore`: `inputs`, `targets`, the integer columns that `task.json` names |
| `tasks/<task>/<split>/references.jsonl` | the targets as texts, one JSON string a row |
| `tasks/<task>/task.json` | `PromptTask.facts` |
| `floors/<task>.json` | the floors of a task that is answered in words |
| `evaluation/tasks/<task>/` | `predictions.jsonl`, the answers to a task, and `result.json`, their metrics |
| `evaluation/<mixture>/` | `results.json`, `report.html` and `report.md` of a mixture |
| `report.html` | the report of the mixture that was evaluated last |
"""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmrec_jax.launch.run_folder import RunFolder
from llmrec_jax.launch.text_recipe import TextRecipe
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.text.text_vocabulary import TextVocabulary
from llmrec_jax.text.vocabulary_sources import MODEL
from llmrec_jax.training.columns import ColumnStore

if TYPE_CHECKING:
    from tasks.prompt_tasks import TaskSet


@dataclasses.dataclass(frozen=True, eq=False)
class TextWorkspace(RunFolder):
    """Paths and artifacts of one run.

    Attributes:
      recipe: what is run.
    """

    recipe: TextRecipe

    @property
    def vocabulary_dir(self) -> pathlib.Path:
        """The SentencePiece model."""
        return self.root / 'vocabulary'

    @functools.cached_property
    def vocabulary(self) -> TextVocabulary:
        """Of inputs and targets."""
        return self.recipe.tasks.vocabulary.load_at(self.vocabulary_dir)

    @functools.cached_property
    def model(self) -> EncoderDecoderModel:
        """The recipe's model, whose words are told by the run's vocabulary where it tells words at all."""
        model = self.recipe.model
        if model.whole_words is None:
            return model
        whole_words = dataclasses.replace(model.whole_words, vocabulary=str(self.vocabulary_dir / MODEL))
        return dataclasses.replace(model, whole_words=whole_words)

    @functools.cached_property
    def task_set(self) -> 'TaskSet':
        """The tasks, made of the corpus; imports TensorFlow."""
        return self.recipe.tasks.build()

    @property
    def training_mixture(self) -> str:
        """SeqIO's name of the mixture that is trained on."""
        return f'{self.recipe.tasks.name}_train'

    @property
    def item_names_path(self) -> pathlib.Path:
        """What each item is called."""
        return self.root / 'item_names.json'

    @functools.cached_property
    def item_names(self) -> list[str]:
        """What each item of the catalogue is called, by its row."""
        return json.loads(self.item_names_path.read_text())

    @property
    def mixtures_path(self) -> pathlib.Path:
        """The mixtures' tasks."""
        return self.root / 'tasks' / 'mixtures.json'

    @functools.cached_property
    def mixtures(self) -> Mapping[str, list[str]]:
        """Name of a mixture to the names of its tasks."""
        return json.loads(self.mixtures_path.read_text())

    def task_dir(self, task: str) -> pathlib.Path:
        """Everything that is kept of a task or mixture."""
        return self.root / 'tasks' / task

    def examples_dir(self, task: str, split: str) -> pathlib.Path:
        """The columns of a materialised task."""
        return self.task_dir(task) / split

    def examples(self, task: str, split: str) -> ColumnStore:
        """A materialised task's examples."""
        return ColumnStore.open(self.examples_dir(task, split))

    def references_path(self, task: str, split: str) -> pathlib.Path:
        """The targets as texts."""
        return self.examples_dir(task, split) / 'references.jsonl'

    def references(self, task: str, split: str) -> list[str]:
        """The target of each row of `examples`, as it was rendered."""
        with self.references_path(task, split).open(encoding='utf-8') as file:
            return [json.loads(line) for line in file]

    def floor_path(self, task: str) -> pathlib.Path:
        """The floors of a task that is answered in words."""
        return self.root / 'floors' / f'{task}.json'

    def task_facts(self, task: str) -> dict[str, Any]:
        """What who evaluates must know; see `tasks.prompt_tasks.PromptTask.facts`."""
        return json.loads((self.task_dir(task) / 'task.json').read_text())
