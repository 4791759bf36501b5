"""The T5 encoder-decoder: training, and decoding for many beams a user."""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float, Int

from llmrec_jax.models.t5.config import T5Config
from llmrec_jax.models.t5.decoder import SELF_LAYER_AXIS, Decoder, LayerCaches
from llmrec_jax.models.t5.encoder import Encoder
from llmrec_jax.models.t5.layers import Embed
from llmrec_jax.models.t5.masks import Visibility, decoder_visibility, encoder_visibility


class Transformer(nn.Module):
    """T5 (https://arxiv.org/abs/1910.10683) with T5X's parameter tree and logical axis names.

    Token 0 is padding, in inputs and targets, and begins every decoder input.
    """

    config: T5Config

    def setup(self):
        """Declares encoder, decoder and the embedding they share."""
        config = self.config
        self.token_embedder = Embed(config.vocab_size, config.emb_dim, config.dtype, config.one_hot_embedding)
        self.encoder = Encoder(config, self.token_embedder)
        self.decoder = Decoder(config, self.token_embedder)

    def __call__(
        self,
        encoder_input_tokens: Int[Array, 'batch inputs'],
        decoder_input_tokens: Int[Array, 'batch targets'],
        decoder_target_tokens: Int[Array, 'batch targets'],
        encoder_segment_ids: Int[Array, 'batch inputs'] | None = None,
        decoder_segment_ids: Int[Array, 'batch targets'] | None = None,
        encoder_positions: Int[Array, 'batch inputs'] | None = None,
        decoder_positions: Int[Array, 'batch targets'] | None = None,
        encoder_whole_word_ids: Int[Array, 'batch inputs'] | None = None,
        *,
        enable_dropout: bool = True,
        decode: bool = False,
    ) -> Float[Array, 'batch targets vocab']:
        """Float32 logits of `decoder_target_tokens`, teacher-forced.

        Args:
          encoder_input_tokens: what is encoded.
          decoder_input_tokens: the targets shifted right by one.
          decoder_target_tokens: read for their padding only.
          encoder_segment_ids: for packed rows, which example a token is of; 0 is padding.
          decoder_segment_ids: likewise.
          encoder_positions: accepted because packing makes them, and not read: a relative bias needs only
            differences, which packing leaves as they were.
          decoder_positions: likewise.
          encoder_whole_word_ids: see `encode`.
          enable_dropout: needs a 'dropout' key.
          decode: part of T5X's signature; this network decodes by `decode_beams`.

        Raises:
          ValueError: if `decode`, or if only one side has segment ids.
        """
        del encoder_positions, decoder_positions
        if decode:
            raise ValueError('Transformer decodes by decode_beams, not by __call__(decode=True)')
        if (encoder_segment_ids is None) != (decoder_segment_ids is None):
            raise ValueError('a packed batch needs encoder_segment_ids and decoder_segment_ids')
        encoded = self.encode(
            encoder_input_tokens, encoder_segment_ids, enable_dropout, encoder_whole_word_ids
        )
        return self.decoder(
            encoded,
            decoder_input_tokens,
            decoder_visibility(decoder_target_tokens, decoder_segment_ids),
            Visibility(encoder_input_tokens > 0, decoder_segment_ids, encoder_segment_ids),
            enable_dropout,
        )

    def encode(
        self,
        encoder_input_tokens: Int[Array, 'batch inputs'],
        encoder_segment_ids: Int[Array, 'batch inputs'] | None = None,
        enable_dropout: bool = False,
        encoder_whole_word_ids: Int[Array, 'batch inputs'] | None = None,
    ) -> Float[Array, 'batch inputs embed']:
        """The encoder's output; at padding it is whatever it is, to be masked.

        Args:
          encoder_input_tokens: what is encoded.
          encoder_segment_ids: see `__call__`.
          enable_dropout: needs a 'dropout' key.
          encoder_whole_word_ids: number of the word that each token is of, for a network with
            `whole_word_embeddings`; where None, no embedding of it is added.
        """
        visibility = encoder_visibility(encoder_input_tokens, encoder_segment_ids)
        return self.encoder(encoder_input_tokens, visibility, enable_dropout, encoder_whole_word_ids)

    def cross_keys_values(self, encoded: Float[Array, 'batch inputs embed']) -> LayerCaches:
        """Each decoder layer's keys and values of the encoder's output: once a user, for all its beams.

        Returns:
          A list over layers of {'key', 'value'}, [batch, inputs, heads, head_dim] each; with scanned layers
          one such entry with leaves [batch, layers, inputs, heads, head_dim].
        """
        return self.decoder.cross_keys_values(encoded)

    @nn.nowrap
    def init_self_cache(self, batch: int, beam: int, steps: int) -> LayerCaches:
        """An empty self-attention cache for `steps` positions; needs no parameters.

        Returns:
          A list over layers of {'key', 'value'}, [batch, beam, steps, heads, head_dim] each; with scanned
          layers one such entry with leaves [batch, beam, layers, steps, heads, head_dim].
        """
        config = self.config
        shape = [batch, beam, steps, config.num_heads, config.head_dim]
        if config.scan_layers:
            shape.insert(SELF_LAYER_AXIS, config.num_decoder_layers)
            return {name: jnp.zeros(shape, config.dtype) for name in ('key', 'value')}
        return [
            {name: jnp.zeros(shape, config.dtype) for name in ('key', 'value')}
            for _ in range(config.num_decoder_layers)
        ]

    def decode_beams(
        self,
        tokens: Int[Array, 'batch beam'],
        position: int | Int[Array, ''],
        self_cache: LayerCaches,
        cross_kv: LayerCaches,
        encoder_mask: Bool[Array, 'batch inputs'],
    ) -> tuple[Float[Array, 'batch beam vocab'], LayerCaches]:
        """One decoding step for all beams of all users.

        Args:
          tokens: each beam's newest token; 0 at position 0.
          position: that token's index, the same in all beams; a Python int or traced.
          self_cache: from `init_self_cache`, or from the step before with its beams reordered.
          cross_kv: from `cross_keys_values`; shared by the beams of a user, so never reordered.
          encoder_mask: which encoder positions are real.

        Returns:
          Float32 logits of the next token, and the cache with `position` filled.
        """
        return self.decoder.decode_beams(tokens, position, self_cache, cross_kv, encoder_mask)
