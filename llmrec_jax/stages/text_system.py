"""What systems of prompts share: one encoder-decoder that is trained on a mixture and asked many tasks."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from llmrec_jax import marks
from llmrec_jax.models.generative_model import GenerativeModel
from llmrec_jax.planning.workload import DecodingSizes, Workload, text_workload
from llmrec_jax.runs.artifact import Artifact
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Stage
from llmrec_jax.runs.system import EngineTask, System
from llmrec_jax.stages.corpus import PrepareCorpus
from llmrec_jax.stages.networks import GenerativeNetwork, Network, Parameters
from llmrec_jax.stages.prompt_evaluation.decoding_config import DecodingConfig
from llmrec_jax.stages.prompt_evaluation.evaluate import EvaluatePrompts
from llmrec_jax.stages.prompt_evaluation.placed_model import PlacedModel
from llmrec_jax.stages.prompt_tasks import (
    MakeVocabulary,
    MaterialisePrompts,
    TextTasks,
    task_set,
    training_examples,
    training_mixture,
    vocabulary,
)
from llmrec_jax.stages.train import Train
from llmrec_jax.text.text_vocabulary import TextVocabulary
from llmrec_jax.text.vocabulary_sources import MODEL, VocabularySource
from llmrec_jax.training.batches import Batches
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.loop import Validate
from llmrec_jax.training.trainer import Trainer
from llmrec_jax.training.validation_loss import ValidationLoss

if TYPE_CHECKING:
    from llmrec_jax.corpora.source import CorpusSource

METRICS = (('loss', 'min'), ('accuracy', 'max'))


@dataclasses.dataclass(frozen=True)
class TextNetwork(GenerativeNetwork):
    """A generative model whose whole words, where it tells any, are told by the run's vocabulary.

    Attributes:
      recipe: the model.
      source: of the vocabulary.
    """

    source: VocabularySource

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Network`."""
        return () if self.recipe.whole_words is None else (vocabulary(self.source),)

    def model(self, run: Run) -> GenerativeModel:
        """See `Network`."""
        if self.recipe.whole_words is None:
            return self.recipe
        file = str(run.path(vocabulary(self.source)) / MODEL)
        whole_words = dataclasses.replace(self.recipe.whole_words, vocabulary=file)
        return dataclasses.replace(self.recipe, whole_words=whole_words)


@dataclasses.dataclass(frozen=True)
class LossValidation:
    """The loss and the share of right tokens on held-out examples; see `train.Validation`.

    Attributes:
      examples: that are held out.
      network: whose loss it is; what is trained decides it.
      trainer: by which batches are padded and parameters sharded.
    """

    examples: Artifact[ColumnStore]
    network: Network = marks.without_effect()
    trainer: Trainer = marks.without_effect()

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Validation`."""
        return (self.examples,)

    def check(self, run: Run) -> None:
        """See `Validation`; examples that are materialised for it can be taken."""

    def validate(self, run: Run) -> Validate:
        """See `Validation`."""
        trainer = self.trainer
        batches = Batches(
            run[self.examples],
            trainer.batch_size,
            trainer.feature_lengths,
            trainer.microbatches,
            trainer.length_buckets,
            trainer.bucketed_feature,
            trainer.other_buckets,
        )
        model, mesh = self.network.model(run), trainer.mesh.build()
        return ValidationLoss(model, batches, mesh, trainer.logical_axis_rules)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextSystem(System):
    """A system whose model answers prompts over a corpus in text.

    Attributes:
      tasks: what is trained on and evaluated.
      network: the generative model and its loss.
      trainer: the embedded engine; its `initial_checkpoint` is what is fine-tuned.
      decoding: how the trained model is asked.
      mixture_or_task_name: what is evaluated: a mixture of tasks that evaluate, or one task; None becomes the
        mixture `<name of the tasks>_eval`.
      validation_examples: drawn from the validation split of the training mixture, by its rates; their loss
        is taken every `trainer.validate_every` steps.
      seed: of the draw of examples from the mixture.

    Raises:
      ValueError: when the parts do not fit one another.
    """

    PLANNED: ClassVar = ('network', 'trainer')

    tasks: TextTasks
    network: GenerativeModel
    trainer: Trainer
    decoding: DecodingConfig
    mixture_or_task_name: str | None = None
    validation_examples: int = 2000
    seed: int = 0

    def __post_init__(self):
        called = type(self).__name__
        if self.mixture_or_task_name is None:
            object.__setattr__(self, 'mixture_or_task_name', f'{self.tasks.name}_eval')
        metric = self.trainer.best_metric
        if (metric.name, metric.mode) not in METRICS:
            raise ValueError(
                f"{called} validates by the loss and the share of right tokens: BestMetric's name and mode "
                f"must be 'loss' and 'min', or 'accuracy' and 'max', not {metric.name!r} and {metric.mode!r}"
            )
        if dict(self.trainer.feature_lengths) != dict(self.tasks.feature_lengths):
            raise ValueError(
                f'Trainer.feature_lengths={dict(self.trainer.feature_lengths)} and those of the tasks, '
                f'{dict(self.tasks.feature_lengths)}, must be the same'
            )
        if self.tasks.workdir != self.workdir:
            raise ValueError(
                f'{called}.workdir={self.workdir!r} and that of the tasks, {self.tasks.workdir!r}, must be '
                'the same: the vocabulary lies there'
            )
        whole_words = self.network.whole_words
        if whole_words is not None and whole_words.vocabulary is not None:
            raise ValueError(
                f'WholeWords.vocabulary={whole_words.vocabulary!r} must be None in {called}: its own '
                'vocabulary tells the words'
            )
        if self.validation_examples < 1:
            raise ValueError(f'{called}.validation_examples={self.validation_examples} must be at least 1')

    @property
    def corpus(self) -> 'CorpusSource':
        """The interactions and the catalogue."""
        return self.tasks.corpus

    @property
    def parameters(self) -> Parameters:
        """What the trained system answers with."""
        return Parameters(TextNetwork(self.network, self.tasks.vocabulary), self.trainer, self.checkpoint)

    @property
    def prepare_corpus(self) -> PrepareCorpus:
        """The stage of the corpus."""
        return PrepareCorpus(corpus=self.corpus, data_dir=self.tasks.data_dir, split=self.tasks.split)

    def prepare_tasks(
        self,
        made_from: tuple[Artifact[Any], ...] = (),
        kept_by: type[MaterialisePrompts] = MaterialisePrompts,
    ) -> list[Stage]:
        """The stages of the vocabulary and of the tasks.

        Args:
          made_from: artifacts that the tasks read by themselves.
          kept_by: keeps the tasks.
        """
        return [
            MakeVocabulary(tasks=self.tasks, room=self.network.module.config.vocab_size, made_from=made_from),
            kept_by(
                tasks=self.tasks,
                validation_examples=self.validation_examples,
                seed=self.seed,
                made_from=made_from,
            ),
        ]

    @property
    def train(self) -> Train:
        """The stage that trains the model on the mixture, validated by the loss on what it holds out."""
        network = self.parameters.network
        return Train(
            network=network,
            trainer=self.trainer,
            validation=LossValidation(training_examples(self.tasks, 'validation'), network, self.trainer),
            examples=training_examples(self.tasks, 'train'),
        )

    def evaluate(self, stage: type[EvaluatePrompts] = EvaluatePrompts, **more: Any) -> EvaluatePrompts:
        """The stage that asks the trained model its mixture.

        Args:
          stage: its class.
          **more: further fields of that class.
        """
        return stage(
            system=self.name,
            parameters=self.parameters,
            tasks=self.tasks,
            decoding=self.decoding,
            mixture=self.mixture_or_task_name,
            **more,
        )

    def model(self, run: Run) -> GenerativeModel:
        """See `System.model`."""
        return self.parameters.network.model(run)

    def vocabulary(self, run: Run) -> TextVocabulary:
        """See `System.vocabulary`."""
        return run[vocabulary(self.tasks.vocabulary)]

    def placed(self, run: Run) -> PlacedModel:
        """The trained model with its parameters on the devices."""
        return PlacedModel(
            self.model(run), self.parameters.restore(run), run[vocabulary(self.tasks.vocabulary)]
        )

    def engine_task(self, run: Run) -> EngineTask:
        """See `System.engine_task`.

        The model answers every task by its text decoder: another engine's evaluator is given one text for an
        item, which may be any. The search over the catalogue is for `python -m llmrec_jax.evaluate`.
        """
        import seqio

        from tasks import prompt_pipeline

        prompt_pipeline.register(task_set(self.tasks, run), run[vocabulary(self.tasks.vocabulary)])
        features = seqio.get_mixture_or_task(training_mixture(self.tasks)).output_features
        model = dataclasses.replace(
            self.model(run),
            input_vocabulary=features['inputs'].vocabulary,
            output_vocabulary=features['targets'].vocabulary,
            decode_fn=self.decoding.text,
            return_all_decodes=False,
        )
        return EngineTask(
            model=model,
            trainer=self.trainer,
            trained=training_mixture(self.tasks),
            evaluated=self.mixture_or_task_name,
            feature_lengths=self.tasks.feature_lengths,
            decoding_batch_size=self.decoding.batch_size,
            examples=lambda split: run[training_examples(self.tasks, split)],
            provenance={},
            evaluated_split='test',
        )

    @classmethod
    def workload(cls, parts: Mapping[str, Any], sizes: DecodingSizes) -> Workload:
        """See `System.workload`."""
        return text_workload(parts['network'], parts['trainer'], sizes)

    def evaluate_task(self, run: Run, name: str, split: str) -> Mapping[str, Mapping[str, float]]:
        """See `System.evaluate_task`."""
        # SeqIO, and with it TensorFlow, is for tasks that a module registers.
        from llmrec_jax.stages.prompt_evaluation.registered_tasks import evaluate_registered

        return evaluate_registered(
            self.placed(run),
            name,
            split,
            decoder=self.decoding.text,
            batch_size=self.decoding.batch_size,
            feature_lengths=self.tasks.feature_lengths,
            directory=run.root / 'evaluation',
        )
