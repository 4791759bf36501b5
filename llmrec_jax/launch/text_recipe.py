"""A text-to-text recipe: prompts over a corpus, one model trained on their mixture, many tasks evaluated."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from llmrec_jax.launch.mixtures.answering import Answering
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.text.vocabulary_sources import VocabularySource
from llmrec_jax.training.trainer import Trainer

if TYPE_CHECKING:
    from llmrec_jax.corpora.source import CorpusSource
    from tasks.prompt_tasks import TaskSet


@runtime_checkable
class TextTasks(Protocol):
    """A frozen dataclass that makes tasks of prompts; `tasks.p5.P5Tasks` is one.

    Attributes:
      corpus: what the tasks are over.
      data_dir: where it is prepared.
      workdir: the recipe's.
      vocabulary: of inputs and targets alike.
      feature_lengths: tokens of 'inputs' and 'targets'.
      epochs: of the training records, each with draws of its own, that are materialised.
    """

    corpus: Any
    data_dir: str
    workdir: str
    vocabulary: VocabularySource
    feature_lengths: Mapping[str, int]
    epochs: int

    @property
    def name(self) -> str:
        """What the names of all tasks and mixtures begin with."""

    def identity(self) -> Any:
        """What decides the examples beside the corpus and the vocabulary, for `fingerprint`."""

    def build(self) -> 'TaskSet':
        """Reads the corpus and makes the tasks; imports TensorFlow."""


@dataclasses.dataclass(frozen=True)
class TextRecipe:
    """What is run, and where.

    Attributes:
      workdir: folder of everything the run makes.
      name: what the trained system is called in results and report.
      tasks: what is trained on and evaluated.
      model: the network and its loss.
      trainer: the embedded engine; its `initial_checkpoint` is what is fine-tuned.
      answering: how the trained model is asked.
      mixture_or_task_name: what is evaluated: a mixture of tasks that evaluate, or one task; None becomes the
        mixture `<name of the tasks>_eval`.
      validation_examples: drawn from the validation split of the training mixture, by its rates; their loss
        is taken every `trainer.validate_every` steps.
      seed: of the draw of examples from the mixture.
    """

    workdir: str
    name: str
    tasks: TextTasks
    model: EncoderDecoderModel
    trainer: Trainer
    answering: Answering
    mixture_or_task_name: str | None = None
    validation_examples: int = 2000
    seed: int = 0

    def __post_init__(self):
        if self.mixture_or_task_name is None:
            object.__setattr__(self, 'mixture_or_task_name', f'{self.tasks.name}_eval')
        metric = self.trainer.best_metric
        if (metric.name, metric.mode) not in (('loss', 'min'), ('accuracy', 'max')):
            raise ValueError(
                "TextRecipe validates by the loss and the share of right tokens: BestMetric's name and mode "
                f"must be 'loss' and 'min', or 'accuracy' and 'max', not {metric.name!r} and {metric.mode!r}"
            )
        if dict(self.trainer.feature_lengths) != dict(self.tasks.feature_lengths):
            raise ValueError(
                f'Trainer.feature_lengths={dict(self.trainer.feature_lengths)} and those of the tasks, '
                f'{dict(self.tasks.feature_lengths)}, must be the same'
            )
        if self.tasks.workdir != self.workdir:
            raise ValueError(
                f'TextRecipe.workdir={self.workdir!r} and that of the tasks, {self.tasks.workdir!r}, must be '
                'the same: the vocabulary lies there'
            )
        whole_words = self.model.whole_words
        if whole_words is not None and whole_words.vocabulary is not None:
            raise ValueError(
                f'WholeWords.vocabulary={whole_words.vocabulary!r} must be None in a TextRecipe: its own '
                'vocabulary tells the words'
            )
        if self.validation_examples < 1:
            raise ValueError(f'TextRecipe.validation_examples={self.validation_examples} must be at least 1')

    @property
    def corpus(self) -> 'CorpusSource':
        """The interactions and the catalogue."""
        return self.tasks.corpus

    @property
    def data_dir(self) -> str:
        """Where TFDS keeps the prepared corpus."""
        return self.tasks.data_dir
