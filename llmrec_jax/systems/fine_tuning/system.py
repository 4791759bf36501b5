"""Fine-tuning of a T5 on a materialised task, and on nothing else: no corpus, no TensorFlow."""

import dataclasses
import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from llmrec_jax import marks
from llmrec_jax.decoding.sampling import Greedy
from llmrec_jax.evaluation.metric_functions import MeasuredTask
from llmrec_jax.models.generative_model import GenerativeModel
from llmrec_jax.models.whole_words import WholeWords
from llmrec_jax.planning.workload import DecodingSizes, Workload, text_workload
from llmrec_jax.runs.artifact import Artifact
from llmrec_jax.runs.record import StageRecord
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.runs.system import EngineTask, System
from llmrec_jax.runs.trained import trained_checkpoint
from llmrec_jax.stages.kept_vocabulary import kept_vocabulary
from llmrec_jax.stages.networks import GenerativeNetwork, Parameters
from llmrec_jax.stages.prompt_evaluation.placed_model import PlacedModel
from llmrec_jax.stages.prompt_evaluation.trained_writer import TrainedWriter
from llmrec_jax.stages.train import Train
from llmrec_jax.text.text_vocabulary import TextVocabulary
from llmrec_jax.training.batches import Batches
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.loop import Validate
from llmrec_jax.training.trainer import Trainer
from llmrec_jax.training.validation_loss import ValidationLoss

LOG = logging.getLogger(__name__)


def _fingerprint(directory: str) -> str:
    return ColumnStore.open(directory).fingerprint


@dataclasses.dataclass(frozen=True, kw_only=True)
class FineTuning(System):
    """What is trained, on what, and where.

    Attributes:
      examples: folder of the training examples that `python -m llmrec_jax.materialise` wrote.
      network: the generative model and its loss.
      trainer: the embedded engine; its `initial_checkpoint` is what is fine-tuned.
      validation_examples: folder of the examples whose loss is taken every `trainer.validate_every` steps;
        None for no validation.

    Raises:
      ValueError: when the best checkpoint is to be chosen by something else than the loss.
    """

    name: str = 'fine_tuning'
    examples: str = marks.described_by(_fingerprint)
    network: GenerativeModel
    trainer: Trainer
    validation_examples: str | None = marks.described_by(_fingerprint, None)

    PLANNED: ClassVar[tuple[str, ...]] = ('network', 'trainer')

    def __post_init__(self):
        metric = self.trainer.best_metric
        if self.validation_examples is not None and (metric.name, metric.mode) != ('loss', 'min'):
            raise ValueError(
                f"FineTuning validates by the loss, so BestMetric.name must be 'loss' and its mode 'min', "
                f'not {metric.name!r} and {metric.mode!r}'
            )

    def stages(self) -> Sequence[Stage]:
        """See `System.stages`."""
        validation = None
        if self.validation_examples is not None:
            validation = HeldOutLoss(self.validation_examples, self.network, self.trainer)
        return [
            FineTune(
                network=GenerativeNetwork(self.network),
                trainer=self.trainer,
                validation=validation,
                given=self.examples,
            )
        ]

    def model(self, run: Run) -> GenerativeModel:
        """See `System.model`."""
        del run
        return self.network

    def vocabulary(self, run: Run) -> TextVocabulary | None:
        """See `System.vocabulary`; it lies beside the examples."""
        del run
        return kept_vocabulary(self.examples)

    def text_writer(self, run: Run) -> TrainedWriter:
        """See `System.text_writer`; answers are decoded greedily, as `evaluate_task` does it."""
        vocabulary = self.vocabulary(run)
        if vocabulary is None:
            raise ValueError(
                f'{self.examples} has no SentencePiece model beside the examples, by which texts are read: '
                'write them again with python -m llmrec_jax.materialise'
            )
        return TrainedWriter(
            self._placed(run),
            vocabulary,
            decoder=self._decoder,
            input_length=self.trainer.feature_lengths['inputs'],
            batch_size=self._at_once,
        )

    def engine_task(self, run: Run) -> EngineTask:
        """See `System.engine_task`; there is no SeqIO task, and of examples those of training alone."""
        del run
        return EngineTask(
            model=self.network,
            trainer=self.trainer,
            trained=None,
            evaluated=None,
            feature_lengths=self.trainer.feature_lengths,
            decoding_batch_size=self._at_once,
            examples=lambda split: open_examples(self.examples, self.network),
            provenance={},
        )

    @classmethod
    def workload(cls, parts: Mapping[str, Any], sizes: DecodingSizes) -> Workload:
        """See `System.workload`."""
        return text_workload(parts['network'], parts['trainer'], sizes)

    def evaluate_task(self, run: Run, name: str, split: str) -> Mapping[str, MeasuredTask]:
        """See `System.evaluate_task`; answers are decoded greedily."""
        # SeqIO, and with it TensorFlow, is for tasks that a module registers.
        from llmrec_jax.stages.prompt_evaluation.registered_tasks import evaluate_registered

        return evaluate_registered(
            self._placed(run),
            name,
            split,
            decoder=self._decoder,
            batch_size=self._at_once,
            feature_lengths=self.trainer.feature_lengths,
            directory=run.root / 'evaluation',
        )

    @property
    def _decoder(self) -> Greedy:
        return Greedy(max_length=self.trainer.feature_lengths['targets'])

    @property
    def _at_once(self) -> int:
        """Examples decoded at once."""
        return self.trainer.batch_size // self.trainer.microbatches

    def _placed(self, run: Run) -> PlacedModel:
        parameters = Parameters(GenerativeNetwork(self.network), self.trainer, self.checkpoint)
        return PlacedModel(self.network, parameters.restore(run))

    def report(self, run: Run, records: Sequence[StageRecord]) -> None:
        """See `System.report`; says where the checkpoint is, which tasks of the user's own evaluate."""
        if any(record.name == 'train' for record in records):
            LOG.info('best checkpoint: %s', run.root / trained_checkpoint(run))


@dataclasses.dataclass(frozen=True, kw_only=True)
class FineTune(Train):
    """Trains on examples that lie outside the workdir; attributes as in `Train`, and:

    Attributes:
      given: folder of the examples.
    """

    given: str = marks.described_by(_fingerprint)
    examples: Artifact[ColumnStore] | None = None
    phase: ClassVar[Phase] = 'train'

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Stage.reads`."""
        return ()

    def training_examples(self, run: Run) -> ColumnStore:
        """See `Train.training_examples`.

        Raises:
          ColumnError: when examples are missing or damaged.
          ValueError: when they were made with a vocabulary that the network has no room for.
        """
        return open_examples(self.given, self.network.model(run))


@dataclasses.dataclass(frozen=True)
class HeldOutLoss:
    """The loss on examples that lie outside the workdir; see `train.Validation`.

    Attributes:
      examples: their folder.
      network: whose loss.
      trainer: how they are batched.
    """

    examples: str = marks.described_by(_fingerprint)
    network: GenerativeModel = marks.without_effect()
    trainer: Trainer = marks.without_effect()
    reads: ClassVar = ()

    def check(self, run: Run) -> None:
        """See `train.Validation`."""
        del run
        open_examples(self.examples, self.network)

    def validate(self, run: Run) -> Validate:
        """See `train.Validation`."""
        del run
        trainer = self.trainer
        batches = Batches(
            open_examples(self.examples, self.network),
            trainer.batch_size,
            trainer.feature_lengths,
            trainer.microbatches,
            trainer.length_buckets,
            trainer.bucketed_feature,
            trainer.other_buckets,
        )
        return ValidationLoss(self.network, batches, trainer.mesh.build(), trainer.logical_axis_rules)


def open_examples(directory: str, model: GenerativeModel) -> ColumnStore:
    """Materialised examples, once their vocabularies are seen to fit the network.

    Args:
      directory: of the examples.
      model: whose network is to read them.

    Raises:
      ColumnError: when they are missing or damaged.
      ValueError: when the network has no room for their tokens, or its whole words are told by another
        vocabulary.
    """
    store = ColumnStore.open(directory)
    room = model.module.config.vocab_size
    vocabularies: Mapping[str, Any] = store.manifest['provenance'].get('vocabularies', {})
    for feature, vocabulary in vocabularies.items():
        if vocabulary['size'] > room:
            raise ValueError(
                f'{directory}: {feature!r} was made with a vocabulary of {vocabulary["size"]} tokens, but '
                f'the network has room for {room}: raise {type(model.module.config).__name__}.vocab_size, or '
                "write them again with the checkpoint's own vocabulary"
            )
    if model.whole_words is not None:
        _check_words(store, model.whole_words)
    return store


def _check_words(store: ColumnStore, whole_words: WholeWords) -> None:
    """Checks that the words of the inputs are told by the vocabulary that the inputs were made with."""
    made_with = store.manifest['provenance'].get('vocabularies', {}).get('inputs', {})
    if whole_words.vocabulary is None or 'sha256' not in made_with:
        return
    pieces = TextVocabulary.load(whole_words.vocabulary, extra_ids=0).size
    told_by = TextVocabulary.load(whole_words.vocabulary, max(0, made_with['size'] - pieces))
    if hashlib.sha256(told_by.with_extra_ids).hexdigest() != made_with['sha256']:
        raise ValueError(
            f"{store.directory}: 'inputs' were made with another vocabulary than {whole_words.vocabulary}, "
            'and words would begin at wrong tokens: set WholeWords.vocabulary to the one they were made with'
        )
