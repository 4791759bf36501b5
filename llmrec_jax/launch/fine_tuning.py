"""Training a model on a materialised task, and on nothing else: no corpus, no TensorFlow."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Mapping
from typing import Any, ClassVar

from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.whole_words import WholeWords
from llmrec_jax.planning.workload import DecodingSizes, Workload, text_workload
from llmrec_jax.text.text_vocabulary import TextVocabulary
from llmrec_jax.training.batches import Batches
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.loop import TrainResult
from llmrec_jax.training.trainer import Trainer
from llmrec_jax.training.validation_loss import ValidationLoss


@dataclasses.dataclass(frozen=True)
class FineTuning:
    """What is trained, on what, and where.

    Attributes:
      workdir: receives checkpoints and logs.
      examples: folder of the training examples that `python -m llmrec_jax.materialise` wrote.
      model: the network and its loss.
      trainer: the embedded engine; its `initial_checkpoint` is what is fine-tuned.
      validation_examples: folder of the examples whose loss is taken every `trainer.validate_every` steps;
        None for no validation.
    """

    PLANNED: ClassVar = ('model', 'trainer')

    workdir: str
    examples: str
    model: EncoderDecoderModel
    trainer: Trainer
    validation_examples: str | None = None

    def __post_init__(self):
        metric = self.trainer.best_metric
        if self.validation_examples is not None and (metric.name, metric.mode) != ('loss', 'min'):
            raise ValueError(
                f"FineTuning validates by the loss, so BestMetric.name must be 'loss' and its mode 'min', "
                f'not {metric.name!r} and {metric.mode!r}'
            )

    @classmethod
    def workload(cls, parts: Mapping[str, Any], sizes: DecodingSizes) -> Workload:
        """See `runs.system.System.workload`."""
        return text_workload(parts['model'], parts['trainer'], sizes)


def fine_tune(recipe: FineTuning) -> TrainResult:
    """Trains, or goes on from the newest checkpoint in the workdir.

    Raises:
      ColumnError: when examples are missing or damaged.
      ValueError: when the examples were made with a vocabulary that the network has no room for, and as
        `Trainer.fit` raises it.
      CheckpointError: when a checkpoint cannot be read or written.
      DivergedError: when the loss or its gradient is not finite.
    """
    trainer = recipe.trainer
    examples = open_examples(recipe.examples, recipe.model)
    validate = None
    if recipe.validation_examples is not None:
        validate = ValidationLoss(
            recipe.model,
            Batches(
                open_examples(recipe.validation_examples, recipe.model),
                trainer.batch_size,
                trainer.feature_lengths,
                trainer.microbatches,
                trainer.length_buckets,
                trainer.bucketed_feature,
                trainer.other_buckets,
            ),
            trainer.mesh.build(),
            trainer.logical_axis_rules,
        )
    return trainer.fit(recipe.model, examples, pathlib.Path(recipe.workdir), validate)


def open_examples(directory: str, model: EncoderDecoderModel) -> ColumnStore:
    """Materialised examples, once their vocabularies are seen to fit the network.

    Raises:
      ColumnError: when they are missing or damaged.
      ValueError: when the network has no room for their tokens, or its whole words are told by another
        vocabulary.
    """
    store = ColumnStore.open(directory)
    room = model.module.config.vocab_size
    for feature, vocabulary in store.manifest['provenance'].get('vocabularies', {}).items():
        if vocabulary['size'] > room:
            raise ValueError(
                f'{directory}: {feature!r} was made with a vocabulary of {vocabulary["size"]} tokens, but '
                f'the network has room for {room}: raise T5Config.vocab_size, or write them again with the '
                f"checkpoint's own vocabulary"
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
