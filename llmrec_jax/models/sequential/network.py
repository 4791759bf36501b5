"""Item encoder and sequence encoder as one network that scores items by inner products."""

import dataclasses
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Bool, Float, Int, Key

from llmrec_jax.models.sequential.item_encoder import PADDING, ItemEncoder
from llmrec_jax.models.sequential.losses import Predictions, SequenceLoss, SumAndWeight
from llmrec_jax.models.sequential.objective import Objective


@runtime_checkable
class SequenceEncoder(Protocol):
    """A linen module from the vectors of a sequence to its states, of the same width.

    A state may depend on its own position and on those before it, unless the encoder's objective hides what
    it predicts. Positions where `mask` is False must change nothing elsewhere: padding is on the left,
    positions are counted from the right, and the states of a sequence do not depend on how far it is
    padded.
    """

    def __call__(
        self,
        embedded: Float[Array, 'batch length dim'],
        mask: Bool[Array, 'batch length'],
        *,
        enable_dropout: bool,
    ) -> Float[Array, 'batch length dim']:
        """The states.

        Args:
          embedded: vectors of the items, zero at padding.
          mask: True where there is an item.
          enable_dropout: whether to draw dropout, from the stream 'dropout'.
        """
        ...


NORM_EPSILON = 1e-12


@dataclasses.dataclass(frozen=True)
class Scoring:
    """How a state and the vector of an item become a score.

    Attributes:
      cosine: whether both are scaled to unit length.
      temperature: what the inner product is divided by.
      item_bias: whether every item has a learned bias, which is added.

    Raises:
      ValueError: when the temperature is not positive.
    """

    cosine: bool = False
    temperature: float = 1.0
    item_bias: bool = False

    def __post_init__(self):
        if not self.temperature > 0:
            raise ValueError(f'Scoring.temperature={self.temperature} must be positive')


class SequentialNetwork(nn.Module):
    """States of histories, and vectors of items whose inner product with a state is its score of the item.

    It is what a loss knows as `ScoredItems`. An item's bias is one more column of its vector, which meets a
    1 in the states, so that search by inner product knows it too.

    Attributes:
      item_encoder: from tokens to vectors.
      sequence_encoder: from vectors to states.
      scoring: how they are compared.
    """

    item_encoder: ItemEncoder
    sequence_encoder: SequenceEncoder
    scoring: Scoring

    def setup(self):
        """Declares the items' biases, where there are any."""
        if self.scoring.item_bias:
            rows = len(self.item_encoder.table())
            self.bias = partitioning.param_with_axes(
                'bias', nn.initializers.zeros, (rows,), jnp.float32, axes=('vocab',)
            )

    @property
    def n_items(self) -> int:
        """Size of the catalogue."""
        return self.item_encoder.n_items

    def __call__(
        self, inputs: Int[Array, 'batch length'], enable_dropout: bool = False
    ) -> Float[Array, 'batch length scored']:
        """The state of every position."""
        # A hidden item has no vector, as padding has none, but its position counts.
        embedded = self.item_encoder(jnp.maximum(inputs, PADDING))
        embedded = partitioning.with_sharding_constraint(embedded, ('batch', 'length', 'embed'))
        return self.scored(self.sequence_encoder(embedded, inputs != PADDING, enable_dropout=enable_dropout))

    def scored(self, states: Float[Array, '*shape dim']) -> Float[Array, '*shape scored']:
        """An encoder's states as they meet the items' vectors."""
        states = self._compared(states) / self.scoring.temperature
        if not self.scoring.item_bias:
            return states
        return jnp.concatenate([states, jnp.ones((*states.shape[:-1], 1), states.dtype)], axis=-1)

    def vectors(self, tokens: Int[Array, '*shape']) -> Float[Array, '*shape scored']:
        """The vectors of tokens."""
        vectors = self._compared(self.item_encoder(tokens))
        if not self.scoring.item_bias:
            return vectors
        bias = self.bias.at[jnp.maximum(tokens - 1, 0)].get(mode='clip')
        return jnp.concatenate([vectors, jnp.where(tokens != PADDING, bias, 0.0)[..., None]], axis=-1)

    def table(self) -> Float[Array, 'rows scored']:
        """The vectors of all items; rows past the catalogue are no items."""
        table = self._compared(self.item_encoder.table())
        if not self.scoring.item_bias:
            return table
        return jnp.concatenate([table, self.bias[:, None]], axis=-1)

    def loss_sums(
        self,
        sequences: Int[Array, 'batch width'],
        loss: SequenceLoss,
        objective: Objective,
        key: Key[Array, ''] | None,
        enable_dropout: bool,
    ) -> SumAndWeight:
        """The loss of whole sequences; `key` is that of what objective and loss draw."""
        keys = (None, None) if key is None else _two(key)
        view = objective.training_view(sequences, keys[0])
        states = self(view.inputs, enable_dropout)
        return loss(Predictions(states, view.targets, sequences), self, keys[1])

    def _compared(self, vectors: Float[Array, '*shape dim']) -> Float[Array, '*shape dim']:
        if not self.scoring.cosine:
            return vectors
        square = jnp.sum(jnp.square(vectors), axis=-1, keepdims=True)
        return vectors / jnp.sqrt(square + NORM_EPSILON)


def _two(key: Key[Array, '']) -> tuple[Key[Array, ''], Key[Array, '']]:
    first, second = jax.random.split(key)
    return first, second
