"""What a user has seen, through a SeqIO feature converter; importing it imports TensorFlow."""

from collections.abc import Mapping

import seqio
import tensorflow as tf

from llmrec_jax.models.ranked_catalogue import SEEN


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
