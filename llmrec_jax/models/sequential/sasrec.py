"""SASRec: causal self-attention over the items of a history (Kang and McAuley, arXiv 1808.09781)."""

import dataclasses

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from llmrec_jax import marks
from llmrec_jax.models.dropout import Dropout
from llmrec_jax.models.sequential.layers import (
    ACTIVATIONS,
    LayerNorm,
    PackedRows,
    PointwiseFeedForward,
    Positions,
    SelfAttention,
    causal,
)

ORIGINAL, PRE_NORM = 'original', 'pre_norm'
BLOCK_ORDERS = (ORIGINAL, PRE_NORM)


@dataclasses.dataclass(frozen=True)
class SASRecConfig:
    """The shape of a SASRec encoder; its width is that of the items' vectors.

    Attributes:
      max_length: the newest items of a history that it reads.
      num_layers: blocks.
      num_heads: of each block's attention.
      mlp_dim: width between the two maps of a block's feed-forward; None for that of the items' vectors.
      activation: of the feed-forward: 'relu' (the paper) or 'gelu'.
      dropout_rate: of the embedded sequence, attention weights and feed-forward.
      block_order: 'original', in which the queries are normalized and keys and values are not, the residual
        adds the normalized queries, and the joined heads are not projected; or 'pre_norm', in which each
        part normalizes all its inputs and is added to what was not normalized.
      input_norm: whether an item's vector and that of its position are added as they are and the sum is
        normalized before the first block, as in BERT, UniSRec and VQ-Rec, for vectors of any scale; otherwise
        the item's is multiplied by the root of the width first, and the sum is not normalized (the paper).

    Raises:
      ValueError: when a number is out of its range or a name is not known.
    """

    max_length: int = 50
    num_layers: int = 2
    num_heads: int = 1
    mlp_dim: int | None = None
    activation: str = 'relu'
    dropout_rate: float = 0.5
    block_order: str = ORIGINAL
    input_norm: bool = marks.silent_default(False)

    def __post_init__(self):
        for name in ('max_length', 'num_layers', 'num_heads'):
            if getattr(self, name) < 1:
                raise ValueError(f'SASRecConfig.{name}={getattr(self, name)} must be at least 1')
        if not 0 <= self.dropout_rate < 1:
            raise ValueError(f'SASRecConfig.dropout_rate={self.dropout_rate} must lie in [0, 1)')
        for name, known in (('activation', tuple(ACTIVATIONS)), ('block_order', BLOCK_ORDERS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f'SASRecConfig.{name}={getattr(self, name)!r} must be one of {", ".join(known)}'
                )


class SASRecEncoder(nn.Module):
    """States of every position of a history, each from the items up to it (section III).

    Attributes:
      config: its shape.
    """

    config: SASRecConfig

    @nn.compact
    def __call__(
        self,
        embedded: Float[Array, 'batch length dim'],
        mask: Bool[Array, 'batch length'],
        *,
        enable_dropout: bool,
        rows: PackedRows | None = None,
    ) -> Float[Array, 'batch length dim']:
        """See `SequenceEncoder`; states of padding are zero.

        Args:
          embedded: see there.
          mask: see there.
          enable_dropout: see there.
          rows: where rows hold several sequences, each of which is read by itself.

        Raises:
          ValueError: when the sequences are longer than `max_length`, or the heads do not divide the width.
        """
        config, dim = self.config, embedded.shape[-1]
        real, allowed = mask[..., None], causal(mask, rows)
        positions = Positions(config.max_length, name='positions')
        if config.input_norm:
            states = LayerNorm(name='input_norm')(positions(embedded, rows))
        else:
            states = positions(embedded * jnp.sqrt(dim), rows)
        states = Dropout(config.dropout_rate)(states, deterministic=not enable_dropout)
        states = jnp.where(real, states, 0.0)
        for layer in range(config.num_layers):
            states = _Block(config, name=f'layers_{layer}')(states, allowed, enable_dropout=enable_dropout)
            states = jnp.where(real, states, 0.0)
        return jnp.where(real, LayerNorm(name='final_norm')(states), 0.0)


class _Block(nn.Module):
    """Attention, then the feed-forward, in the order the configuration says.

    Attributes:
      config: the encoder's.
    """

    config: SASRecConfig

    @nn.compact
    def __call__(
        self,
        states: Float[Array, 'batch length dim'],
        allowed: Bool[Array, 'batch length length'],
        *,
        enable_dropout: bool,
    ) -> Float[Array, 'batch length dim']:
        config, original = self.config, self.config.block_order == ORIGINAL
        attention = SelfAttention(
            config.num_heads, config.dropout_rate, project_output=not original, name='attention'
        )
        feed_forward = PointwiseFeedForward(
            config.mlp_dim or states.shape[-1], config.activation, config.dropout_rate, name='feed_forward'
        )
        normalized = LayerNorm(name='attention_norm')(states)
        keys = states if original else normalized
        residual = normalized if original else states
        states = residual + attention(normalized, keys, allowed, enable_dropout=enable_dropout)
        normalized = LayerNorm(name='feed_forward_norm')(states)
        residual = normalized if original else states
        return residual + feed_forward(normalized, enable_dropout=enable_dropout)
