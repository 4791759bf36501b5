"""What SeqIO's feature converters add: what a user has seen, and whole-word indices for T5X.

Importing it imports TensorFlow.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import seqio
import tensorflow as tf
from jaxtyping import Bool

from llmrec_jax.models.ranked_catalogue import SEEN
from llmrec_jax.models.whole_words import WHOLE_WORD_IDS
from llmrec_jax.text.text_vocabulary import EOS, PAD


def with_seen(converter: type[seqio.FeatureConverter]) -> type[seqio.FeatureConverter]:
    """A feature converter that hands on 'seen' of the examples that have it, beside what `converter` makes.

    'seen' is no feature of a task: its width is that of the examples, not one of the `task_feature_lengths`,
    and training examples have none.
    """
    return type(f'{converter.__name__}WithSeen', (_SeenFeatures, converter), {})


class _SeenFeatures:
    """Mixed in before a converter that makes each example in `_convert_example`."""

    def _convert_features(
        self, ds: tf.data.Dataset, task_feature_lengths: Mapping[str, int]
    ) -> tf.data.Dataset:
        spec = None if self.pack else ds.element_spec.get(SEEN)
        self._seen_width = None if spec is None else spec.shape[0]
        if spec is not None:
            if self._seen_width is None:
                raise ValueError(f'{SEEN!r} is {spec}: it must be padded to one width, as batches are')
            # SeqIO reads what an instance makes of its class's features after this call.
            own = {SEEN: seqio.FeatureConverter.FeatureSpec(dtype=tf.int32)}
            self.MODEL_FEATURES = {**type(self).MODEL_FEATURES, **own}
        return super()._convert_features(ds, task_feature_lengths)

    def _convert_example(self, features: Mapping[str, tf.Tensor]) -> Mapping[str, tf.Tensor]:
        converted = super()._convert_example(features)
        return converted if self._seen_width is None else {**converted, SEEN: features[SEEN]}

    def get_model_feature_lengths(self, task_feature_lengths: Mapping[str, int]) -> Mapping[str, int]:
        """Those of the converter, and the width of 'seen'."""
        lengths = super().get_model_feature_lengths(task_feature_lengths)
        return lengths if self._seen_width is None else {**lengths, SEEN: self._seen_width}


def whole_word_feature_converter(
    word_starts: Bool[np.ndarray, 'vocab'], rows: int
) -> type['WholeWordFeatureConverter']:
    """A feature converter that counts words by these tokens; the arguments are those of `whole_word_ids`."""
    return type('WholeWords', (WholeWordFeatureConverter,), {'WORD_STARTS': word_starts, 'ROWS': rows})


class WholeWordFeatureConverter(seqio.EncDecFeatureConverter):
    """`seqio.EncDecFeatureConverter` with the word number of each input token (see `whole_word_ids`).

    Attributes:
      WORD_STARTS: which tokens begin a word.
      ROWS: of the table of embeddings.
    """

    MODEL_FEATURES: ClassVar = {
        **seqio.EncDecFeatureConverter.MODEL_FEATURES,
        WHOLE_WORD_IDS: seqio.FeatureConverter.FeatureSpec(dtype=tf.int32),
    }
    WORD_STARTS: ClassVar[np.ndarray]
    ROWS: ClassVar[int]

    def _convert_example(self, features: Mapping[str, tf.Tensor]) -> Mapping[str, tf.Tensor]:
        tokens = features['inputs']
        begins = tf.gather(tf.constant(self.WORD_STARTS.astype(np.int32)), tokens)
        numbers = tf.cumsum(begins)
        if self.pack:
            first = tf.range(tf.shape(tokens)[0]) - features['inputs_positions']
            numbers -= tf.gather(numbers - begins, first)
        in_a_word = (tokens != PAD) & (tokens != EOS)
        ids = tf.where(in_a_word, tf.minimum(numbers, self.ROWS - 1), 0)
        return {**super()._convert_example(features), WHOLE_WORD_IDS: ids}

    def get_model_feature_lengths(self, task_feature_lengths: Mapping[str, int]) -> Mapping[str, int]:
        """Those of the encoder-decoder; word numbers are as long as the inputs."""
        lengths = super().get_model_feature_lengths(task_feature_lengths)
        return {**lengths, WHOLE_WORD_IDS: task_feature_lengths['inputs']}
