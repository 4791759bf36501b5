"""Pairs of a text and an item through SeqIO, for T5X; importing it imports TensorFlow."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import seqio
import tensorflow as tf
from jaxtyping import Float

from llmrec_jax.models.sequential.item_features import within
from llmrec_jax.models.two_tower import ITEM, QUERY

_SPEC = seqio.FeatureConverter.FeatureSpec


def text_query_feature_converter(
    query_vectors: Float[np.ndarray, 'texts width'], n_items: int
) -> type[seqio.FeatureConverter]:
    """What `TextQueryModel.convert_features` does, inside SeqIO, for these texts and this catalogue."""
    fields = {'QUERY_VECTORS': query_vectors, 'N_ITEMS': n_items}
    return type('TextQueryFeatures', (TextQueryFeatureConverter,), fields)


class TextQueryFeatureConverter(seqio.FeatureConverter):
    """The vector of the text in place of its row, and the token of the item.

    Attributes:
      QUERY_VECTORS: a row for each text.
      N_ITEMS: size of the catalogue.
    """

    TASK_FEATURES: ClassVar = {QUERY: _SPEC(dtype=tf.int32), ITEM: _SPEC(dtype=tf.int32)}
    MODEL_FEATURES: ClassVar = {QUERY: _SPEC(dtype=tf.float32), ITEM: _SPEC(dtype=tf.int32, rank=0)}
    # Pairs are not packed, and SeqIO says so where it is asked to.
    PACKING_FEATURE_DTYPES: ClassVar = None
    QUERY_VECTORS: ClassVar[np.ndarray]
    N_ITEMS: ClassVar[int]

    def _convert_features(
        self, ds: tf.data.Dataset, task_feature_lengths: Mapping[str, int]
    ) -> tf.data.Dataset:
        vectors = tf.constant(self.QUERY_VECTORS, tf.float32)

        def convert(pair: Mapping[str, tf.Tensor]) -> Mapping[str, tf.Tensor]:
            row = within(QUERY, pair[QUERY], len(self.QUERY_VECTORS))[0]
            item = within(ITEM, pair[ITEM], self.N_ITEMS + 1)[0]
            item.set_shape([])
            return {QUERY: vectors[row], ITEM: item}

        return ds.map(convert, num_parallel_calls=tf.data.AUTOTUNE)

    def get_model_feature_lengths(self, task_feature_lengths: Mapping[str, int]) -> Mapping[str, int]:
        """The width of the vectors, and one item."""
        return {QUERY: self.QUERY_VECTORS.shape[1], ITEM: task_feature_lengths[ITEM]}
