"""The decoder alone as both engines drive it: T5X's model protocol, and sums for exact accumulation."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from llmrec_jax import marks
from llmrec_jax.models.decoder_only.features import LOSS_PLACES, PACKING_FEATURES, decoder_features
from llmrec_jax.models.decoder_only.flops import layer_weights, logits_flops, token_flops, train_flops
from llmrec_jax.models.decoder_only.inference import DecoderOnlyInference
from llmrec_jax.models.decoder_only.transformer import DecoderOnlyTransformer
from llmrec_jax.models.generative_model import GenerativeModel, check_generative, check_tokens
from llmrec_jax.models.inference import DecodeFn, network_variables
from llmrec_jax.models.model_protocol import Batch, Key, Params, as_arrays
from llmrec_jax.models.ranked_catalogue import KEPT, REMOVED, SEEN


@dataclasses.dataclass(frozen=True, eq=False)
class DecoderOnlyModel(DecoderOnlyInference, GenerativeModel):
    """A `DecoderOnlyTransformer` with its loss and its search: `EncoderDecoderModel`'s methods.

    Attributes:
      module: the network.
      start_token: what is read before the inputs: 0 as in T5X, or a pretrained network's own (LLaMA 2's <s>
        is 1); None where the inputs begin with what is read first, as chat templates write it.
      decode_fn: the search behind `recommend` and `predict_batch`, or the text decoder behind the latter.
      trie: the catalogue that `predict_batch` searches; `recommend` is handed one.
      return_all_decodes: whether `predict_batch` returns all beams or the best one.
      label_smoothing: in [0, 1).
      z_loss: coefficient of log(Z)**2.
      feature_converter_cls: None for a `seqio.DecoderFeatureConverter` with this `start_token`.
      inputs_bidirectional_attention: whether tokens of the inputs see one another whatever their order (a
        prefix language model); T5X's name.
      loss_on_targets_only: whether tokens of the inputs are predicted without weight; T5X's name.
      seen_items: see `EncoderDecoderModel`.
      optimizer_def: see `SummedLossModel`.
      loss_normalizing_factor: likewise; any of `LOSS_NORMALIZING_FACTORS`.

    Raises:
      ValueError: for an unknown normalizing factor, a smoothing outside [0, 1), a start token outside the
        vocabulary, or seen items to be removed from texts.
    """

    module: DecoderOnlyTransformer
    start_token: int | None = 0
    decode_fn: DecodeFn | None = None
    trie: Any = None
    return_all_decodes: bool = True
    label_smoothing: float = 0.0
    z_loss: float = 0.0
    feature_converter_cls: Any = None
    inputs_bidirectional_attention: bool = False
    loss_on_targets_only: bool = True
    seen_items: str = marks.without_effect(KEPT)

    def __post_init__(self):
        check_generative(
            'DecoderOnlyModel',
            self.decode_fn,
            self.label_smoothing,
            self.seen_items,
            self.loss_normalizing_factor,
        )
        vocab_size = self.module.config.vocab_size
        if self.start_token is not None and not 0 <= self.start_token < vocab_size:
            raise ValueError(
                f'DecoderOnlyModel.start_token={self.start_token} is not in a vocabulary of {vocab_size}'
            )

    @property
    def FEATURE_CONVERTER_CLS(self) -> Any:
        """The SeqIO feature converter; asking for it imports SeqIO, and with it TensorFlow."""
        if self.feature_converter_cls is not None:
            return self.feature_converter_cls
        from llmrec_jax.models.decoder_only.feature_converter import decoder_feature_converter

        return decoder_feature_converter(self.start_token, self.loss_on_targets_only, self.seen_items != KEPT)

    def convert_features(self, task_batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What `FEATURE_CONVERTER_CLS` makes of a padded batch, without TensorFlow.

        Args:
          task_batch: see `features.decoder_features`; and 'seen', for a model that removes seen items.

        Returns:
          The features of `decoder_features`; 'seen' as it came, where it is needed.

        Raises:
          ValueError: if a token is outside the model's vocabulary.
        """
        check_tokens(task_batch, self.module.config.vocab_size)
        model_batch = decoder_features(task_batch, self.start_token, self.loss_on_targets_only)
        if self.seen_items == REMOVED and SEEN in task_batch:
            model_batch[SEEN] = np.asarray(task_batch[SEEN], np.int32)
        return model_batch

    def get_initial_variables(
        self,
        rng: Key,
        input_shapes: Mapping[str, tuple[int, ...]],
        input_types: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """'params' and 'params_axes' (their logical axis names) for batches of these shapes.

        `input_types` is part of T5X's signature; tokens are integers whatever it says.
        """
        del input_types
        tokens = jnp.ones(input_shapes['decoder_input_tokens'], jnp.int32)
        return self.module.init(rng, tokens, enable_dropout=False)

    def compute_logits(
        self, params: Params, batch: Batch, dropout_rng: Key | None = None, *, inference: bool = False
    ) -> Float[Array, 'batch length vocab']:
        """Teacher-forced logits of what follows each token; see `GenerativeModel`."""
        del inference
        encoded = self._encoded(params, as_arrays(batch), dropout_rng)
        return self.module.apply(network_variables(params), encoded, method='logits')

    def loss_terms(
        self, params: Params, batch: Batch, dropout_rng: Key | None = None, *, inference: bool = False
    ) -> tuple[Float[Array, 'batch length vocab'], dict[str, Array]]:
        """See `GenerativeModel`; of tokens that have a weight, where the batch says where they stand."""
        del inference
        encoded, taken = self._encoded(params, batch, dropout_rng), dict(batch)
        if LOSS_PLACES in batch:
            places = batch[LOSS_PLACES]
            encoded = jnp.take_along_axis(encoded, places[:, :, None], axis=1)
            for name in ('decoder_target_tokens', 'decoder_loss_weights', 'decoder_segment_ids'):
                if name in batch:
                    taken[name] = jnp.take_along_axis(batch[name], places, axis=1)
        return self.module.apply(network_variables(params), encoded, method='logits'), taken

    def train_flops(self, features: Mapping[str, Any]) -> int:
        """Model FLOPs of a training step on features of these shapes (see `flops.train_flops`)."""
        examples, length = features['decoder_input_tokens'].shape
        predicted = features[LOSS_PLACES].shape[1] if LOSS_PLACES in features else length
        return train_flops(self.module.config, examples, length, predicted)

    def read_flops(self, rows: int, input_length: int) -> int:
        """See `GenerativeModel`."""
        return rows * input_length * token_flops(self.module.config, input_length)

    def step_flops(self, input_length: int, steps: int) -> int:
        """See `GenerativeModel`."""
        config = self.module.config
        return token_flops(config, input_length + steps) + logits_flops(config)

    def flops_formula(self) -> str:
        """See `GenerativeModel`."""
        config = self.module.config
        layers, head = config.num_layers * layer_weights(config), config.emb_dim * config.vocab_size
        return f'6 x ({layers:,} weights x tokens + {head:,} x predicted tokens), and attention'

    def _encoded(
        self, params: Params, batch: Batch, dropout_rng: Key | None
    ) -> Float[Array, 'batch length embed']:
        features = {name: batch[name] for name in PACKING_FEATURES if name in batch}
        if self.inputs_bidirectional_attention:
            features['decoder_causal_attention'] = batch['decoder_causal_attention']
        return self.module.apply(
            network_variables(params),
            batch['decoder_input_tokens'],
            **features,
            rngs=None if dropout_rng is None else {'dropout': dropout_rng},
            method='read',
        )
