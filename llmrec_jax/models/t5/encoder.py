"""T5's encoder."""

import jax.numpy as jnp
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Float, Int

from llmrec_jax.models.t5.attention import Attention
from llmrec_jax.models.t5.config import T5Config
from llmrec_jax.models.t5.layer_stack import run_layers
from llmrec_jax.models.t5.layers import Embed, FeedForward, RelativePositionBias, block_norm
from llmrec_jax.models.t5.masks import Visibility

RESIDUAL_AXES = ('batch', 'length', 'embed')


class EncoderLayer(nn.Module):
    """Self-attention, then feed-forward; each normalized before and added to what came in."""

    config: T5Config

    def setup(self):
        """Declares the blocks and their norms."""
        config = self.config
        self.pre_attention_layer_norm = block_norm(config)
        self.attention = Attention(config)
        self.pre_mlp_layer_norm = block_norm(config)
        self.mlp = FeedForward(config)
        self.dropout = nn.Dropout(config.dropout_rate, broadcast_dims=(-2,))

    def __call__(
        self,
        inputs: Float[Array, 'batch length embed'],
        visibility: Visibility,
        bias: Float[Array, 'heads length length'],
        enable_dropout: bool,
    ) -> Float[Array, 'batch length embed']:
        """The layer's output."""
        x = partitioning.with_sharding_constraint(inputs, RESIDUAL_AXES)
        normalized = self.pre_attention_layer_norm(x)
        attended = self.attention(normalized, normalized, visibility, bias, enable_dropout)
        x = x + self.dropout(attended, deterministic=not enable_dropout)
        fed = self.mlp(self.pre_mlp_layer_norm(x), enable_dropout)
        x = x + self.dropout(fed, deterministic=not enable_dropout)
        return partitioning.with_sharding_constraint(x, RESIDUAL_AXES)


class Encoder(nn.Module):
    """The stack of encoder layers over embedded tokens."""

    config: T5Config
    shared_embedding: Embed

    def setup(self):
        """Declares the layers and their shared bias."""
        config = self.config
        self.relpos_bias = RelativePositionBias(config.num_heads, bidirectional=True)
        if config.whole_word_embeddings:
            self.whole_word_embedding = Embed(
                config.whole_word_embeddings, config.emb_dim, config.dtype, config.one_hot_embedding
            )
        if config.scan_layers:
            self.layers = EncoderLayer(config)
        else:
            self.layers = [EncoderLayer(config) for _ in range(config.num_encoder_layers)]
        self.encoder_norm = block_norm(config)
        self.dropout = nn.Dropout(config.dropout_rate, broadcast_dims=(-2,))

    def __call__(
        self,
        tokens: Int[Array, 'batch length'],
        visibility: Visibility,
        enable_dropout: bool,
        whole_word_ids: Int[Array, 'batch length'] | None = None,
    ) -> Float[Array, 'batch length embed']:
        """Encodes `tokens`, each with the embedding of its word's number where `whole_word_ids` are given."""
        length = tokens.shape[1]
        embedded = self.shared_embedding(tokens)
        # A network has the same parameters whatever it is initialized with.
        if self.config.whole_word_embeddings and self.is_initializing() and whole_word_ids is None:
            whole_word_ids = jnp.zeros_like(tokens)
        if whole_word_ids is not None:
            embedded = embedded + self.whole_word_embedding(whole_word_ids)
        x = self.dropout(embedded, deterministic=not enable_dropout)
        context = (visibility, self.relpos_bias(length, length))
        x = run_layers(self.config, self.layers, x, context, self.config.num_encoder_layers, enable_dropout)
        return self.dropout(self.encoder_norm(x), deterministic=not enable_dropout)
