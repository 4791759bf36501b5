"""BERT's encoder (Devlin et al. 2019) in Flax, its modules named as the published weights are."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


@dataclasses.dataclass(frozen=True)
class BertConfig:
    """The fields of a BERT `config.json` that shape the network, under their names there."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    type_vocab_size: int
    layer_norm_eps: float

    def __post_init__(self):
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f'hidden_size={self.hidden_size} is no multiple of '
                f'num_attention_heads={self.num_attention_heads}'
            )


class Embeddings(nn.Module):
    """Word piece, position and segment, added and normalised; every text is one segment."""

    config: BertConfig

    @nn.compact
    def __call__(self, pieces: Int[Array, 'batch length']) -> Float[Array, 'batch length hidden']:
        """Embeds the word pieces."""
        config = self.config
        words = nn.Embed(config.vocab_size, config.hidden_size, name='word_embeddings')(pieces)
        positions = nn.Embed(config.max_position_embeddings, config.hidden_size, name='position_embeddings')
        segments = nn.Embed(config.type_vocab_size, config.hidden_size, name='token_type_embeddings')
        places = jnp.broadcast_to(jnp.arange(pieces.shape[1])[None, :], pieces.shape)
        embedded = words + positions(places) + segments(jnp.zeros_like(pieces))
        return nn.LayerNorm(config.layer_norm_eps, name='LayerNorm')(embedded)


class BertSelfAttention(nn.Module):
    """Every piece attends to the real pieces of its text."""

    config: BertConfig

    @nn.compact
    def __call__(
        self, hidden: Float[Array, 'batch length hidden'], mask: Bool[Array, 'batch length']
    ) -> Float[Array, 'batch length hidden']:
        """Attends; `mask` is False on padding."""
        batch, length, width = hidden.shape
        heads = self.config.num_attention_heads

        def project(name: str) -> Float[Array, 'batch length heads head_dim']:
            return nn.Dense(width, name=name)(hidden).reshape(batch, length, heads, width // heads)

        attended = jax.nn.dot_product_attention(
            project('query'), project('key'), project('value'), mask=mask[:, None, None, :]
        )
        return attended.reshape(batch, length, width)


class AddAndNormalise(nn.Module):
    """A projection back to the residual stream, which is normalised after the addition."""

    config: BertConfig

    @nn.compact
    def __call__(
        self, branch: Float[Array, 'batch length width'], residual: Float[Array, 'batch length hidden']
    ) -> Float[Array, 'batch length hidden']:
        """Projects `branch` and adds it."""
        projected = nn.Dense(self.config.hidden_size, name='dense')(branch)
        return nn.LayerNorm(self.config.layer_norm_eps, name='LayerNorm')(residual + projected)


class BertAttention(nn.Module):
    """Self-attention and its way back to the residual stream."""

    config: BertConfig

    @nn.compact
    def __call__(
        self, hidden: Float[Array, 'batch length hidden'], mask: Bool[Array, 'batch length']
    ) -> Float[Array, 'batch length hidden']:
        """Attends and adds."""
        attended = BertSelfAttention(self.config, name='self')(hidden, mask)
        return AddAndNormalise(self.config, name='output')(attended, hidden)


class Intermediate(nn.Module):
    """The feed-forward layer's widening, with the exact (erf) GELU."""

    config: BertConfig

    @nn.compact
    def __call__(
        self, hidden: Float[Array, 'batch length hidden']
    ) -> Float[Array, 'batch length intermediate']:
        """Widens."""
        widened = nn.Dense(self.config.intermediate_size, name='dense')(hidden)
        return nn.gelu(widened, approximate=False)


class Layer(nn.Module):
    """One Transformer layer, normalised after each of its two parts."""

    config: BertConfig

    @nn.compact
    def __call__(
        self, hidden: Float[Array, 'batch length hidden'], mask: Bool[Array, 'batch length']
    ) -> Float[Array, 'batch length hidden']:
        """Applies attention and the feed-forward layer."""
        attended = BertAttention(self.config, name='attention')(hidden, mask)
        widened = Intermediate(self.config, name='intermediate')(attended)
        return AddAndNormalise(self.config, name='output')(widened, attended)


class Layers(nn.Module):
    """The stack of layers."""

    config: BertConfig

    @nn.compact
    def __call__(
        self, hidden: Float[Array, 'batch length hidden'], mask: Bool[Array, 'batch length']
    ) -> Float[Array, 'batch length hidden']:
        """Applies them in turn."""
        for layer in range(self.config.num_hidden_layers):
            hidden = Layer(self.config, name=f'layer_{layer}')(hidden, mask)
        return hidden


class Bert(nn.Module):
    """Word pieces to a vector each, without dropout: it is only ever run, not trained."""

    config: BertConfig

    @nn.compact
    def __call__(
        self, pieces: Int[Array, 'batch length'], mask: Bool[Array, 'batch length']
    ) -> Float[Array, 'batch length hidden']:
        """The last layer's output; `mask` is False on padding, whose vectors mean nothing."""
        embedded = Embeddings(self.config, name='embeddings')(pieces)
        return Layers(self.config, name='encoder')(embedded, mask)


def sentence_vectors(
    hidden: Float[Array, 'batch length hidden'], mask: Bool[Array, 'batch length']
) -> Float[Array, 'batch hidden']:
    """The mean over the real pieces (Reimers and Gurevych 2019), of length 1; zero for an empty row."""
    weights = mask.astype(hidden.dtype)[:, :, None]
    means = (hidden * weights).sum(axis=1) / jnp.maximum(weights.sum(axis=1), 1)
    return means / jnp.maximum(jnp.linalg.norm(means, axis=1, keepdims=True), 1e-12)
