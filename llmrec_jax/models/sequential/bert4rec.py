"""BERT4Rec's encoder: hidden items told from both sides (Sun et al., arXiv 1904.06690)."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from llmrec_jax.models.dropout import Dropout
from llmrec_jax.models.sequential.layers import (
    Affine,
    LayerNorm,
    PointwiseFeedForward,
    Positions,
    SelfAttention,
)


@dataclasses.dataclass(frozen=True)
class BERT4RecConfig:
    """The shape of a BERT4Rec encoder; its width is that of the items' vectors.

    Attributes:
      max_length: the newest items of a history that it reads; the item to be told has a position beside them.
      num_layers: blocks.
      num_heads: of each block's attention.
      mlp_dim: width between the two maps of a block's feed-forward; None for four times that of the vectors.
      dropout_rate: of the embedded sequence, attention weights and what blocks add.

    Raises:
      ValueError: when a number is out of its range.
    """

    max_length: int = 50
    num_layers: int = 2
    num_heads: int = 2
    mlp_dim: int | None = None
    dropout_rate: float = 0.1

    def __post_init__(self):
        for name in ('max_length', 'num_layers', 'num_heads'):
            if getattr(self, name) < 1:
                raise ValueError(f'BERT4RecConfig.{name}={getattr(self, name)} must be at least 1')
        if not 0 <= self.dropout_rate < 1:
            raise ValueError(f'BERT4RecConfig.dropout_rate={self.dropout_rate} must lie in [0, 1)')


class BERT4RecEncoder(nn.Module):
    """States of positions, each from the whole sequence: what `Cloze` hides is told from both sides.

    A hidden item is a zero vector at a position that counts, so that its position's vector alone stands
    there. A learned vector for it would tell the network nothing more: taken from all items' vectors and
    added to all positions', it leaves every sum, and the softmax over the items' scores, as they are.

    Attributes:
      config: its shape.
    """

    config: BERT4RecConfig

    @nn.compact
    def __call__(
        self,
        embedded: Float[Array, 'batch length dim'],
        mask: Bool[Array, 'batch length'],
        *,
        enable_dropout: bool,
    ) -> Float[Array, 'batch length dim']:
        """See `SequenceEncoder`; states of padding are zero.

        Raises:
          ValueError: when the sequences have more than `max_length` items and a hidden one, or the heads do
            not divide the width.
        """
        config, dim = self.config, embedded.shape[-1]
        states = Positions(config.max_length + 1, name='positions')(embedded)
        states = LayerNorm(name='embedding_norm')(states)
        states = Dropout(config.dropout_rate)(states, deterministic=not enable_dropout)
        allowed = jnp.broadcast_to(mask[:, None, :], (*mask.shape, mask.shape[1]))
        for layer in range(config.num_layers):
            states = _Block(config, name=f'layers_{layer}')(states, allowed, enable_dropout=enable_dropout)
        # The output layer of the paper's equation 7, whose product with the item table is the model's.
        states = jax.nn.gelu(Affine(dim, name='output')(states))
        return jnp.where(mask[..., None], LayerNorm(name='output_norm')(states), 0.0)


class _Block(nn.Module):
    """Attention and feed-forward, each normalized after it was added (section 3.3).

    Attributes:
      config: the encoder's.
    """

    config: BERT4RecConfig

    @nn.compact
    def __call__(
        self,
        states: Float[Array, 'batch length dim'],
        allowed: Bool[Array, 'batch length length'],
        *,
        enable_dropout: bool,
    ) -> Float[Array, 'batch length dim']:
        config = self.config
        read = SelfAttention(config.num_heads, config.dropout_rate, name='attention')(
            states, states, allowed, enable_dropout=enable_dropout
        )
        read = Dropout(config.dropout_rate)(read, deterministic=not enable_dropout)
        states = LayerNorm(name='attention_norm')(states + read)
        feed_forward = PointwiseFeedForward(
            config.mlp_dim or 4 * states.shape[-1], 'gelu', config.dropout_rate, name='feed_forward'
        )
        added = feed_forward(states, enable_dropout=enable_dropout)
        return LayerNorm(name='feed_forward_norm')(states + added)
