"""SeqIO's converter for decoders, with a start token of one's own or none; it imports TensorFlow."""

from collections.abc import Mapping
from typing import Any

import seqio
import tensorflow as tf

from llmrec_jax.models.decoder_only.features import LOSS_PLACES
from llmrec_jax.models.ranked_catalogue import SEEN


def decoder_feature_converter(
    start_token: int | None, loss_on_targets_only: bool, with_seen: bool
) -> type[seqio.FeatureConverter]:
    """A `seqio.DecoderFeatureConverter` as T5X constructs it.

    Args:
      start_token: see `DecoderOnlyModel`.
      loss_on_targets_only: likewise.
      with_seen: whether 'seen' of the examples is handed on.
    """
    fixed = {'START_TOKEN': start_token, 'LOSS_ON_TARGETS_ONLY': loss_on_targets_only, 'WITH_SEEN': with_seen}
    return type('DecoderFeatures', (_DecoderFeatureConverter,), fixed)


class _DecoderFeatureConverter(seqio.DecoderFeatureConverter):
    START_TOKEN: int | None
    LOSS_ON_TARGETS_ONLY: bool
    WITH_SEEN: bool

    def __init__(self, pack: bool = True, **settings: Any):
        passed = {SEEN: seqio.FeatureConverter.FeatureSpec(dtype=tf.int32)}
        super().__init__(
            loss_on_targets_only=self.LOSS_ON_TARGETS_ONLY,
            pack=pack,
            bos_id=self.START_TOKEN or 0,
            passthrough_features=passed if self.WITH_SEEN else None,
            **settings,
        )

    def __call__(self, ds: tf.data.Dataset, task_feature_lengths: Mapping[str, int]) -> tf.data.Dataset:
        if self.WITH_SEEN:
            width = ds.element_spec[SEEN].shape[0]
            task_feature_lengths = {**task_feature_lengths, SEEN: width}
        converted = super().__call__(ds, task_feature_lengths)
        if self.START_TOKEN is None:
            converted = converted.map(_without_start)
        if not self._has_places(task_feature_lengths):
            return converted
        width = task_feature_lengths['targets']

        def with_places(features: Mapping[str, tf.Tensor]) -> Mapping[str, tf.Tensor]:
            order = tf.argsort(features['decoder_loss_weights'], direction='DESCENDING', stable=True)
            return {**features, LOSS_PLACES: order[:width]}

        return converted.map(with_places)

    def get_model_feature_lengths(self, task_feature_lengths: Mapping[str, int]) -> Mapping[str, int]:
        """SeqIO's, and that of the places with a weight."""
        lengths = super().get_model_feature_lengths(task_feature_lengths)
        if not self._has_places(task_feature_lengths):
            return lengths
        return {**lengths, LOSS_PLACES: task_feature_lengths['targets']}

    def _has_places(self, task_feature_lengths: Mapping[str, int]) -> bool:
        # SeqIO packs whole examples, so that a row may have more targets than one example may.
        return self.LOSS_ON_TARGETS_ONLY and not self.pack and 'inputs' in task_feature_lengths


def _without_start(features: Mapping[str, tf.Tensor]) -> Mapping[str, tf.Tensor]:
    """Reads each token where SeqIO predicts it, and predicts the one behind it."""
    full, weights = features['decoder_target_tokens'], features['decoder_loss_weights']
    segments = features.get('decoder_segment_ids', tf.ones_like(full))

    def behind(feature: tf.Tensor) -> tf.Tensor:
        follows = tf.cast(segments[1:] == segments[:-1], feature.dtype)
        return tf.pad(feature[1:] * follows, [[0, 1]])

    converted = {**features, 'decoder_input_tokens': full, 'decoder_target_tokens': behind(full)}
    converted['decoder_loss_weights'] = behind(weights)
    if 'decoder_causal_attention' in features:
        converted['decoder_causal_attention'] = behind(features['decoder_causal_attention'])
    return converted
