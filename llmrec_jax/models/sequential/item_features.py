"""Sequences of items through SeqIO, for T5X; importing it imports TensorFlow."""

from collections.abc import Mapping
from typing import ClassVar

import seqio
import tensorflow as tf

from llmrec_jax.models.feature_converters import with_seen
from llmrec_jax.models.sequential import ITEMS, USER

_SPEC = seqio.FeatureConverter.FeatureSpec


def item_feature_converter(
    n_items: int, *, seen: bool = False, n_users: int | None = None
) -> type[seqio.FeatureConverter]:
    """What `convert_features` of a sequential model does, inside SeqIO.

    Args:
      n_items: of the catalogue.
      seen: whether examples hand on what their user has seen (see `feature_converters.with_seen`).
      n_users: of a model that knows who each sequence is of; None for one that does not.
    """
    fields = {'N_ITEMS': n_items}
    if n_users is not None:
        fields |= {
            'N_USERS': n_users,
            'TASK_FEATURES': {**ItemFeatureConverter.TASK_FEATURES, USER: _SPEC(dtype=tf.int32)},
            'MODEL_FEATURES': {**ItemFeatureConverter.MODEL_FEATURES, USER: _SPEC(dtype=tf.int32, rank=0)},
        }
    converter = type('ItemFeatures', (ItemFeatureConverter,), fields)
    return with_seen(converter) if seen else converter


class ItemFeatureConverter(seqio.FeatureConverter):
    """Whole sequences as tokens, padded on the left.

    Attributes:
      N_ITEMS: size of the catalogue.
      N_USERS: users that a sequence may be of; None where the model does not ask.
    """

    TASK_FEATURES: ClassVar = {ITEMS: _SPEC(dtype=tf.int32)}
    MODEL_FEATURES: ClassVar = {ITEMS: _SPEC(dtype=tf.int32)}
    # Sequences are not packed, and SeqIO says so where it is asked to.
    PACKING_FEATURE_DTYPES: ClassVar = None
    N_ITEMS: ClassVar[int]
    N_USERS: ClassVar[int | None] = None

    def _convert_features(
        self, ds: tf.data.Dataset, task_feature_lengths: Mapping[str, int]
    ) -> tf.data.Dataset:
        self._width = task_feature_lengths[ITEMS]
        return ds.map(self._convert_example, num_parallel_calls=tf.data.AUTOTUNE)

    def _convert_example(self, features: Mapping[str, tf.Tensor]) -> Mapping[str, tf.Tensor]:
        tokens = within(ITEMS, features[ITEMS], self.N_ITEMS + 1)
        padded = tf.pad(tokens, [[self._width - tf.size(tokens), 0]])
        padded.set_shape([self._width])
        if self.N_USERS is None:
            return {ITEMS: padded}
        user = within(USER, features[USER], max(self.N_USERS, 1))[0]
        user.set_shape([])
        return {ITEMS: padded, USER: user}

    def get_model_feature_lengths(self, task_feature_lengths: Mapping[str, int]) -> Mapping[str, int]:
        """As long as the task's."""
        return dict(task_feature_lengths)


def within(feature: str, numbers: tf.Tensor, end: int) -> tf.Tensor:
    """The numbers of a feature; reading the dataset fails where they are not in [0, end)."""
    inside = tf.reduce_all((numbers >= 0) & (numbers < end))
    message = f'{feature!r} must lie below {end}: were the examples made of another corpus?'
    with tf.control_dependencies([tf.debugging.Assert(inside, [message, numbers])]):
        return tf.identity(numbers)
