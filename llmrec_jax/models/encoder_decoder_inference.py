"""What a trained encoder-decoder is asked for: the encoder runs once a row, the decoder once a beam."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from llmrec_jax.models.inference import GenerativeInference, Scorer, network_variables
from llmrec_jax.models.losses import token_cross_entropy
from llmrec_jax.models.model_protocol import Batch, Params
from llmrec_jax.models.t5.transformer import Transformer
from llmrec_jax.models.whole_words import WHOLE_WORD_IDS, WholeWords


class EncoderDecoderInference(GenerativeInference):
    """The part of `EncoderDecoderModel` that needs parameters and no targets."""

    module: Transformer
    whole_words: WholeWords | None

    def whole_word_features(self, batch: Batch, *, inference: bool) -> dict[str, Int[Array, 'batch inputs']]:
        """The word numbers that the encoder is given with this batch: those of the batch, or nothing.

        Raises:
          ValueError: when the network adds whole-word embeddings and the batch does not number its words.
        """
        if self.whole_words is None or (inference and self.whole_words.omitted_at_inference):
            return {}
        if WHOLE_WORD_IDS not in batch:
            raise ValueError(
                f'the network adds whole-word embeddings, but the batch has no {WHOLE_WORD_IDS!r}: make it '
                'with convert_features, or with the FEATURE_CONVERTER_CLS of the model'
            )
        return {WHOLE_WORD_IDS: jnp.asarray(batch[WHOLE_WORD_IDS])}

    def read(self, params: Params, batch: Batch) -> dict[str, Any]:
        """See `GenerativeInference`; the decoder's keys and values of the encoder's output."""
        variables = network_variables(params)
        tokens = jnp.asarray(batch['encoder_input_tokens'])
        whole_words = self.whole_word_features(batch, inference=True)
        encoded = self.module.apply(variables, tokens, **whole_words, method='encode')
        cross_kv = self.module.apply(variables, encoded, method='cross_keys_values')
        return {'cross_kv': cross_kv, 'encoder_mask': tokens > 0}

    def decode(
        self,
        params: Params,
        read: Any,
        newest: Int[Array, 'batch beam'],
        position: int | Int[Array, ''],
        cache: Any,
    ) -> tuple[Float[Array, 'batch beam vocab'], Any]:
        """See `GenerativeInference`."""
        return self.module.apply(
            network_variables(params), newest, position, cache, **read, method='decode_beams'
        )

    def read_axes(self, ndim: int) -> tuple[str | None, ...]:
        """See `GenerativeInference`; 2 axes are the mask's, 5 are keys and values of stacked layers."""
        layers = ('layers',) if ndim == 5 else ()
        return ('batch', 'length') if ndim == 2 else ('batch', *layers, 'length', 'heads', 'kv')

    def rows(self, batch: Batch) -> int:
        """See `GenerativeInference`."""
        return batch['encoder_input_tokens'].shape[0]

    def candidate_scorer(self, params: Params, batch: Batch) -> Scorer:
        """See `GenerativeInference`; candidates are read position by position."""
        step = self.decoding_step(params, batch)

        def score(tokens: Int[Array, 'batch candidates length']) -> Float[Array, 'batch candidates']:
            rows, size, length = tokens.shape

            def add_position(carried, at):
                newest, state, scores = carried
                position, targets = at
                logits, state = step(newest, position, state)
                cross_entropy, _ = token_cross_entropy(logits, targets)
                return (targets, state, scores - jnp.where(targets != 0, cross_entropy, 0.0)), None

            start = jnp.zeros((rows, size), tokens.dtype)
            carried = (start, self.module.init_self_cache(rows, size, length), jnp.zeros((rows, size)))
            positions = (jnp.arange(length), jnp.moveaxis(tokens, 2, 0))
            return jax.lax.scan(add_position, carried, positions)[0][-1]

        return score
