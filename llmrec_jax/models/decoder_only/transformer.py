"""A decoder-only language model: over whole rows, over prompts, and over continuations of a prompt."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Int

from llmrec_jax.models.decoder_only.config import DecoderConfig
from llmrec_jax.models.decoder_only.context import extension_contexts, text_contexts
from llmrec_jax.models.decoder_only.decoder import CACHE_LAYER_AXIS, Decoder, LayerStates
from llmrec_jax.models.decoder_only.layers import TokenEmbedder


class DecoderOnlyTransformer(nn.Module):
    """LLaMA, Qwen, Gemma or SmolLM2, with the parameter tree and axis names of T5X and MaxText."""

    config: DecoderConfig

    def setup(self):
        """Declares the embedding and the decoder."""
        self.token_embedder = TokenEmbedder(self.config)
        self.decoder = Decoder(self.config, self.token_embedder)

    def __call__(
        self,
        decoder_input_tokens: Int[Array, 'batch length'],
        decoder_target_tokens: Int[Array, 'batch length'] | None = None,
        decoder_segment_ids: Int[Array, 'batch length'] | None = None,
        decoder_positions: Int[Array, 'batch length'] | None = None,
        decoder_causal_attention: Int[Array, 'batch length'] | None = None,
        *,
        enable_dropout: bool = True,
        decode: bool = False,
    ) -> Float[Array, 'batch length vocab']:
        """Float32 logits of the token that follows each of `decoder_input_tokens`.

        Args:
          decoder_input_tokens: what is read.
          decoder_target_tokens: part of T5X's signature, and not read: padding stands behind the text, where
            no token of it sees any.
          decoder_segment_ids: for packed rows, which text a token is of; 0 is padding.
          decoder_positions: for packed rows, places within the text; None counts from 0 in each row.
          decoder_causal_attention: which tokens, those with 1, see one another whatever their order (a
            prefix language model); None for none.
          enable_dropout: part of T5X's signature; there is none.
          decode: part of T5X's signature; this network decodes by `prefill` and `extend`.

        Raises:
          ValueError: if `decode`.
        """
        del decoder_target_tokens, enable_dropout
        if decode:
            raise ValueError('DecoderOnlyTransformer decodes by prefill and extend, not by decode=True')
        return self.logits(
            self.read(decoder_input_tokens, decoder_segment_ids, decoder_positions, decoder_causal_attention)
        )

    def read(
        self, decoder_input_tokens: Int[Array, 'batch length'], *features: Any, **named: Any
    ) -> Float[Array, 'batch length embed']:
        """`encode` of the tokens' vectors."""
        return self.encode(self.token_embedder(decoder_input_tokens), *features, **named)

    def embed(self, tokens: Int[Array, '*batch']) -> Float[Array, '*batch embed']:
        """The vectors that the first layer is given of `tokens`."""
        return self.token_embedder(tokens)

    def encode(
        self,
        embedded: Float[Array, 'batch length embed'],
        decoder_segment_ids: Int[Array, 'batch length'] | None = None,
        decoder_positions: Int[Array, 'batch length'] | None = None,
        decoder_causal_attention: Int[Array, 'batch length'] | None = None,
    ) -> Float[Array, 'batch length embed']:
        """The last normalized output at each position, of vectors in place of tokens; see `__call__`."""
        bidirectional = None if decoder_causal_attention is None else decoder_causal_attention > 0
        positions = self._positions(embedded) if decoder_positions is None else decoder_positions
        contexts = text_contexts(self.config, positions, decoder_segment_ids, bidirectional)
        return self.decoder(embedded, contexts)

    def logits(self, encoded: Float[Array, '*batch embed']) -> Float[Array, '*batch vocab']:
        """Float32 logits of what `encode`, `prefill` or `extend` gave."""
        return self.decoder.logits(encoded)

    def prefill(
        self,
        embedded: Float[Array, 'batch prompt embed'],
        decoder_causal_attention: Int[Array, 'batch prompt'] | None = None,
    ) -> tuple[Float[Array, 'batch prompt embed'], LayerStates]:
        """`encode`, with each layer's keys and values: once a prompt, for all its continuations.

        Args:
          embedded: of prompts that begin at position 0, padded behind.
          decoder_causal_attention: see `__call__`.

        Returns:
          The last output; and a list over layers of {'key', 'value'}, [batch, prompt, groups, head_dim] each,
          with scanned layers one such entry whose leaves have a leading axis over layers.
        """
        bidirectional = None if decoder_causal_attention is None else decoder_causal_attention > 0
        contexts = text_contexts(self.config, self._positions(embedded), None, bidirectional)
        return self.decoder.prefill(embedded, contexts)

    def extend(
        self,
        tokens: Int[Array, 'batch beam new'],
        position: int | Int[Array, ''],
        cache: LayerStates,
        prompt: LayerStates,
        prompt_lengths: Int[Array, 'batch'],
    ) -> tuple[Float[Array, 'batch beam new embed'], LayerStates]:
        """Reads the newest tokens of continuations.

        Args:
          tokens: the newest ones of each beam.
          position: index of the first of them behind the prompt, the same in all beams; an int or traced.
          cache: from `init_self_cache`, or from the call before with its beams reordered.
          prompt: from `prefill`; shared by the beams of a row, so never reordered.
          prompt_lengths: how many of the prompt's tokens they follow.

        Returns:
          The last output at each token, which `logits` takes; and the cache with them.
        """
        config = self.config
        steps = (cache if config.scan_layers else cache[0])['key'].shape[-3]
        width = (prompt if config.scan_layers else prompt[0])['key'].shape[-3]
        contexts = extension_contexts(config, prompt_lengths, position, tokens.shape[2], steps, width)
        return self.decoder.extend(self.token_embedder(tokens), contexts, position, cache, prompt)

    @nn.nowrap
    def init_self_cache(self, batch: int, beam: int, steps: int) -> LayerStates:
        """An empty cache for `steps` positions behind the prompt; needs no parameters.

        Returns:
          A list over layers of {'key', 'value'}, [batch, beam, steps, groups, head_dim] each; with scanned
          layers one such entry with leaves [batch, beam, layers, steps, groups, head_dim].
        """
        config = self.config
        shape = [batch, beam, steps, config.num_kv_heads, config.head_dim]
        if config.scan_layers:
            shape.insert(CACHE_LAYER_AXIS, config.num_layers)
            return {name: jnp.zeros(shape, config.dtype) for name in ('key', 'value')}
        return [
            {name: jnp.zeros(shape, config.dtype) for name in ('key', 'value')}
            for _ in range(config.num_layers)
        ]

    def _positions(self, embedded: Float[Array, 'batch length embed']) -> Int[Array, 'batch length']:
        return jnp.broadcast_to(jnp.arange(embedded.shape[1]), embedded.shape[:2])
