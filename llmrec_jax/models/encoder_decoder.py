"""The encoder-decoder as both engines drive it: T5X's model protocol, and sums for exact accumulation."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from llmrec_jax import marks
from llmrec_jax.models.encoder_decoder_inference import EncoderDecoderInference
from llmrec_jax.models.generative_model import GenerativeModel, check_generative, check_tokens
from llmrec_jax.models.inference import DecodeFn, network_variables
from llmrec_jax.models.model_protocol import Batch, Key, Params, as_arrays
from llmrec_jax.models.ranked_catalogue import KEPT, REMOVED, SEEN
from llmrec_jax.models.t5.flops import (
    cross_keys_values_flops,
    decoder_token_flops,
    encoder_flops,
    train_flops,
    weights_met,
)
from llmrec_jax.models.t5.transformer import Transformer
from llmrec_jax.models.whole_words import WHOLE_WORD_IDS, WholeWords

PACKING_FEATURES = ('encoder_segment_ids', 'decoder_segment_ids', 'encoder_positions', 'decoder_positions')


@dataclasses.dataclass(frozen=True, eq=False)
class EncoderDecoderModel(EncoderDecoderInference, GenerativeModel):
    """A `Transformer` with its loss and its search.

    Has what T5X's trainer, evaluator and inference touch on a model, and imports nothing of T5X.

    Attributes:
      module: the network.
      decode_fn: the search behind `recommend` and `predict_batch`, or the text decoder behind the latter.
      trie: the catalogue that `predict_batch` searches; `recommend` is handed one.
      return_all_decodes: whether `predict_batch` returns all beams or the best one.
      label_smoothing: in [0, 1).
      z_loss: coefficient of log(Z)**2; T5 1.1 was trained with 1e-4.
      feature_converter_cls: None for `seqio.EncDecFeatureConverter`, or with whole words for one that numbers
        them as well.
      whole_words: how the words of the inputs are numbered for a network with
        `T5Config.whole_word_embeddings`; None for one without.
      seen_items: 'kept', or 'removed' for a `predict_batch` that leaves out the items of the batch's 'seen';
        `recommend` is told by its caller.
      optimizer_def: see `SummedLossModel`.
      loss_normalizing_factor: likewise; any of `LOSS_NORMALIZING_FACTORS`.

    Raises:
      ValueError: for an unknown normalizing factor, a smoothing outside [0, 1), whole words in only one of
        model and network, or seen items to be removed from texts.
    """

    module: Transformer
    decode_fn: DecodeFn | None = None
    trie: Any = None
    return_all_decodes: bool = True
    label_smoothing: float = 0.0
    z_loss: float = 0.0
    feature_converter_cls: Any = None
    whole_words: WholeWords | None = None
    seen_items: str = marks.without_effect(KEPT)

    def __post_init__(self):
        check_generative(
            'EncoderDecoderModel',
            self.decode_fn,
            self.label_smoothing,
            self.seen_items,
            self.loss_normalizing_factor,
        )
        rows = self.module.config.whole_word_embeddings
        if (self.whole_words is None) != (rows == 0):
            raise ValueError(
                f'T5Config.whole_word_embeddings={rows} and EncoderDecoderModel.whole_words='
                f'{self.whole_words} must go together: set whole_words to WholeWords and the rows to 512 as '
                'in P5, or neither'
            )

    @property
    def FEATURE_CONVERTER_CLS(self) -> Any:
        """The SeqIO feature converter; asking for it imports SeqIO, and with it TensorFlow."""
        converter = self._plain_converter()
        if self.seen_items == KEPT:
            return converter
        from llmrec_jax.models.feature_converters import with_seen

        return with_seen(converter)

    def _plain_converter(self) -> Any:
        if self.feature_converter_cls is not None:
            return self.feature_converter_cls
        if self.whole_words is not None:
            from llmrec_jax.models.feature_converters import whole_word_feature_converter

            config = self.module.config
            return whole_word_feature_converter(
                self.whole_words.word_starts(config.vocab_size), config.whole_word_embeddings
            )
        import seqio

        return seqio.EncDecFeatureConverter

    def convert_features(self, task_batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What `FEATURE_CONVERTER_CLS` makes of a padded batch, without TensorFlow.

        Args:
          task_batch: 'inputs' [batch, inputs] and, for training and scoring, 'targets' [batch, targets];
            padded with 0; and 'seen', for a model that removes seen items. Where rows are packed,
            'inputs_segment_ids', 'inputs_positions' and the same of the targets (see `training.packing`).

        Returns:
          'encoder_input_tokens', and with targets 'decoder_target_tokens', 'decoder_input_tokens' (the
          targets shifted right behind a 0, within their segment where rows are packed) and
          'decoder_loss_weights' (1 where the target is no padding); of packed rows 'encoder_segment_ids',
          'encoder_positions' and the same of the decoder too; with whole words 'encoder_whole_word_ids' (see
          `whole_words.whole_word_ids`); 'seen' as it came, where it is needed; all int32.

        Raises:
          ValueError: if a token is outside the model's vocabulary, which the network would not notice.
          OSError, ValueError: of `WholeWords.word_starts`, when words cannot be told.
        """
        vocab_size = self.module.config.vocab_size
        check_tokens(task_batch, vocab_size)
        model_batch = {'encoder_input_tokens': np.asarray(task_batch['inputs'], np.int32)}
        if 'targets' in task_batch:
            targets = np.asarray(task_batch['targets'], np.int32)
            model_batch |= {
                'decoder_target_tokens': targets,
                'decoder_input_tokens': np.pad(targets, ((0, 0), (1, 0)))[:, :-1],
                'decoder_loss_weights': (targets != 0).astype(np.int32),
            }
        if 'targets_segment_ids' in task_batch:
            model_batch |= {
                f'{side}_{kind}': np.asarray(task_batch[f'{feature}_{kind}'], np.int32)
                for side, feature in (('encoder', 'inputs'), ('decoder', 'targets'))
                for kind in ('segment_ids', 'positions')
            }
            model_batch['decoder_input_tokens'] *= model_batch['decoder_positions'] > 0
        if self.seen_items == REMOVED and SEEN in task_batch:
            model_batch[SEEN] = np.asarray(task_batch[SEEN], np.int32)
        if self.whole_words is not None:
            model_batch[WHOLE_WORD_IDS] = self.whole_words.ids(
                model_batch['encoder_input_tokens'],
                vocab_size,
                self.module.config.whole_word_embeddings,
                model_batch.get('encoder_positions'),
            )
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
        features = {
            name: jnp.ones(input_shapes[name], jnp.int32)
            for name in ('encoder_input_tokens', 'decoder_input_tokens', *PACKING_FEATURES)
            if name in input_shapes
        }
        return self.module.init(
            rng,
            **features,
            decoder_target_tokens=features['decoder_input_tokens'],
            enable_dropout=False,
        )

    def compute_logits(
        self, params: Params, batch: Batch, dropout_rng: Key | None = None, *, inference: bool = False
    ) -> Float[Array, 'batch length vocab']:
        """Teacher-forced logits of the targets.

        Args:
          params: the network's parameters.
          batch: the model's features.
          dropout_rng: dropout is on where there is a key for it.
          inference: whether whole words are left out where the model omits them at inference.
        """
        batch = as_arrays(batch)
        return self.module.apply(
            network_variables(params),
            batch['encoder_input_tokens'],
            batch['decoder_input_tokens'],
            batch['decoder_target_tokens'],
            **{name: batch[name] for name in PACKING_FEATURES if name in batch},
            **self.whole_word_features(batch, inference=inference),
            enable_dropout=dropout_rng is not None,
            rngs=None if dropout_rng is None else {'dropout': dropout_rng},
        )

    def train_flops(self, features: Mapping[str, Any]) -> int:
        """Model FLOPs of a training step on features of these shapes (see `t5.flops.train_flops`)."""
        examples, input_length = features['encoder_input_tokens'].shape
        target_length = features['decoder_target_tokens'].shape[1]
        return train_flops(self.module.config, examples, input_length, target_length)

    def read_flops(self, rows: int, input_length: int) -> int:
        """See `GenerativeModel`."""
        config = self.module.config
        return encoder_flops(config, rows, input_length) + cross_keys_values_flops(config, rows, input_length)

    def step_flops(self, input_length: int, steps: int) -> int:
        """See `GenerativeModel`."""
        return decoder_token_flops(self.module.config, input_length, steps)

    def flops_formula(self) -> str:
        """See `GenerativeModel`."""
        by_inputs, by_targets = weights_met(self.module.config)
        return f'6 x ({by_inputs:,} weights x input tokens + {by_targets:,} x target tokens), and attention'

    def trained_part(self) -> 'EncoderDecoderModel':
        """See `GenerativeModel`; another beam, or words left out of inference, trains nothing else."""
        whole_words = self.whole_words
        if whole_words is not None:
            whole_words = dataclasses.replace(whole_words, omitted_at_inference=False)
        return dataclasses.replace(self, decode_fn=None, whole_words=whole_words)
