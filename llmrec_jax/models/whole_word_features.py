"""Whole-word indices inside SeqIO, for T5X; the one module of this room that needs TensorFlow."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import seqio
import tensorflow as tf
from jaxtyping import Bool

from llmrec_jax.models.whole_words import WHOLE_WORD_IDS
from llmrec_jax.text.text_vocabulary import EOS, PAD


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
