"""T5's decoder: teacher-forced over whole targets, or one position at a time over beams."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Bool, Float, Int

from llmrec_jax.models.layers import Dense
from llmrec_jax.models.t5.attention import Attention, KeysValues
from llmrec_jax.models.t5.config import T5Config
from llmrec_jax.models.t5.encoder import RESIDUAL_AXES
from llmrec_jax.models.t5.layer_stack import run_layers
from llmrec_jax.models.t5.layers import Embed, FeedForward, RelativePositionBias, block_norm
from llmrec_jax.models.t5.masks import Visibility

# One entry a layer; with scanned layers one entry, with a layer axis after the leading axes named below.
LayerCaches = list[KeysValues] | KeysValues
CROSS_LAYER_AXIS = 1  # [batch, layers, length, heads, head_dim]
SELF_LAYER_AXIS = 2  # [batch, beam, layers, steps, heads, head_dim]


class DecoderLayer(nn.Module):
    """Self-attention, attention to the encoder's output, feed-forward."""

    config: T5Config

    def setup(self):
        """Declares the blocks and their norms."""
        config = self.config
        self.pre_self_attention_layer_norm = block_norm(config)
        self.self_attention = Attention(config)
        self.pre_cross_attention_layer_norm = block_norm(config)
        self.encoder_decoder_attention = Attention(config)
        self.pre_mlp_layer_norm = block_norm(config)
        self.mlp = FeedForward(config)
        self.dropout = nn.Dropout(config.dropout_rate, broadcast_dims=(-2,))

    def __call__(
        self,
        inputs: Float[Array, 'batch length embed'],
        encoded: Float[Array, 'batch key embed'],
        visibility: Visibility,
        bias: Float[Array, 'heads length length'],
        cross_visibility: Visibility,
        enable_dropout: bool,
    ) -> Float[Array, 'batch length embed']:
        """The layer's output for whole targets."""
        x = partitioning.with_sharding_constraint(inputs, RESIDUAL_AXES)
        normalized = self.pre_self_attention_layer_norm(x)
        attended = self.self_attention(normalized, normalized, visibility, bias, enable_dropout)
        x = x + self.dropout(attended, deterministic=not enable_dropout)
        normalized = self.pre_cross_attention_layer_norm(x)
        attended = self.encoder_decoder_attention(normalized, encoded, cross_visibility, None, enable_dropout)
        x = x + self.dropout(attended, deterministic=not enable_dropout)
        fed = self.mlp(self.pre_mlp_layer_norm(x), enable_dropout)
        x = x + self.dropout(fed, deterministic=not enable_dropout)
        return partitioning.with_sharding_constraint(x, RESIDUAL_AXES)

    def cross_keys_values(self, encoded: Float[Array, 'batch length embed']) -> KeysValues:
        """Keys and values of the encoder's output, [batch, length, heads, head_dim] each."""
        return self.encoder_decoder_attention.keys_values(encoded)

    def decode_beams(
        self,
        inputs: Float[Array, 'batch beam embed'],
        position: int | Int[Array, ''],
        self_cache: KeysValues,
        cross: KeysValues,
        encoder_mask: Bool[Array, 'batch length'],
        bias: Float[Array, 'heads steps'],
    ) -> tuple[Float[Array, 'batch beam embed'], KeysValues]:
        """The layer's output for the newest token of each beam, and the self-attention cache with it."""
        x = inputs
        normalized = self.pre_self_attention_layer_norm(x)
        attended, self_cache = self.self_attention.attend_cached(normalized, position, self_cache, bias)
        x = x + attended
        normalized = self.pre_cross_attention_layer_norm(x)
        x = x + self.encoder_decoder_attention.attend_shared(normalized, cross, encoder_mask)
        return x + self.mlp(self.pre_mlp_layer_norm(x), False), self_cache


class Decoder(nn.Module):
    """The stack of decoder layers and the output head."""

    config: T5Config
    shared_embedding: Embed

    def setup(self):
        """Declares the layers, their shared bias and the head."""
        config = self.config
        self.relpos_bias = RelativePositionBias(config.num_heads, bidirectional=False)
        if config.scan_layers:
            self.layers = DecoderLayer(config)
        else:
            self.layers = [DecoderLayer(config) for _ in range(config.num_decoder_layers)]
        self.decoder_norm = block_norm(config)
        self.dropout = nn.Dropout(config.dropout_rate, broadcast_dims=(-2,))
        if not config.logits_via_embedding:
            self.logits_dense = Dense(config.vocab_size, ('embed', 'vocab'), jnp.float32, lora=config.lora)

    def __call__(
        self,
        encoded: Float[Array, 'batch key embed'],
        tokens: Int[Array, 'batch length'],
        visibility: Visibility,
        cross_visibility: Visibility,
        enable_dropout: bool,
    ) -> Float[Array, 'batch length vocab']:
        """Float32 logits of the token that follows each of `tokens`."""
        length = tokens.shape[1]
        x = self.dropout(self.shared_embedding(tokens), deterministic=not enable_dropout)
        context = (encoded, visibility, self.relpos_bias(length, length), cross_visibility)
        x = run_layers(self.config, self.layers, x, context, self.config.num_decoder_layers, enable_dropout)
        return self._logits(self.dropout(self.decoder_norm(x), deterministic=not enable_dropout))

    def cross_keys_values(self, encoded: Float[Array, 'batch length embed']) -> LayerCaches:
        """Keys and values of the encoder's output for every layer."""
        if not self.config.scan_layers:
            return [layer.cross_keys_values(encoded) for layer in self.layers]

        def project(layer_params):
            return self._detached_layer(layer_params, 'cross_keys_values', encoded)

        return jax.vmap(project, out_axes=CROSS_LAYER_AXIS)(self._stacked_params())

    def decode_beams(
        self,
        tokens: Int[Array, 'batch beam'],
        position: int | Int[Array, ''],
        self_cache: LayerCaches,
        cross: LayerCaches,
        encoder_mask: Bool[Array, 'batch length'],
    ) -> tuple[Float[Array, 'batch beam vocab'], LayerCaches]:
        """Logits of the token that follows the newest one of each beam."""
        x = self.shared_embedding(tokens)
        if not self.config.scan_layers:
            bias = self.relpos_bias.at(position, self_cache[0]['key'].shape[2])
            filled = []
            for layer, layer_cache, layer_cross in zip(self.layers, self_cache, cross, strict=True):
                x, layer_cache = layer.decode_beams(x, position, layer_cache, layer_cross, encoder_mask, bias)
                filled.append(layer_cache)
            return self._logits(self.decoder_norm(x)), filled

        bias = self.relpos_bias.at(position, self_cache['key'].shape[SELF_LAYER_AXIS + 1])

        def run_layer(x, layer):
            layer_params, layer_cache, layer_cross = layer
            return self._detached_layer(
                layer_params, 'decode_beams', x, position, layer_cache, layer_cross, encoder_mask, bias
            )

        def layers_first(axis: int, caches: Any) -> Any:
            return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, axis, 0), caches)

        x, filled = jax.lax.scan(
            run_layer,
            x,
            (
                self._stacked_params(),
                layers_first(SELF_LAYER_AXIS, self_cache),
                layers_first(CROSS_LAYER_AXIS, cross),
            ),
        )
        filled = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, SELF_LAYER_AXIS), filled)
        return self._logits(self.decoder_norm(x)), filled

    def _stacked_params(self):
        return self.variables['params']['layers']

    def _detached_layer(self, layer_params, method: str, *arguments):
        """Runs one layer on its slice of the stacked parameters."""
        return DecoderLayer(self.config, parent=None).apply(
            {'params': layer_params}, *arguments, method=method
        )

    def _logits(self, x: Float[Array, '*batch embed']) -> Float[Array, '*batch vocab']:
        if self.config.logits_via_embedding:
            return self.shared_embedding.attend(x)
        return self.logits_dense(x)
