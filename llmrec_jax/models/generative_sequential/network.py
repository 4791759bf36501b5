"""A sequential network whose states write the codes of the next item, and may score items beside that."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from llmrec_jax.models.generative_sequential.head_parts import Heads
from llmrec_jax.models.generative_sequential.heads import CodeHeads
from llmrec_jax.models.sequential.item_encoder import PADDING
from llmrec_jax.models.sequential.layers import PackedRows
from llmrec_jax.models.sequential.losses import Predictions, SequenceLoss, SumAndWeight
from llmrec_jax.models.sequential.network import SequentialNetwork
from llmrec_jax.models.sequential.objective import View


class CodedSequentialNetwork(SequentialNetwork):
    """A `SequentialNetwork`, and heads on its states.

    What it scores by inner products is an item-level model on the same states, which may be trained along
    and asked beside the codes.

    Attributes:
      heads: from states to codes.
    """

    heads: CodeHeads

    def code_losses(
        self,
        view: View,
        rows: PackedRows | None,
        key: Key[Array, ''] | None,
    ) -> tuple[Float[Array, 'levels'], Float[Array, 'batch length dim']]:
        """The summed cross-entropy of each level over a batch's targets, and the states.

        Args:
          view: inputs and targets.
          rows: which history each position is of, where rows hold several; None where each row is one.
          key: of the heads' dropout; None for none, there and in the encoder.
        """
        states = self.encoded(view.inputs, rows, key is not None)
        targets = view.targets.reshape(-1)
        flat, items = states.reshape(len(targets), -1), jnp.maximum(targets - 1, 0)
        losses = self.heads.losses(self.item_encoder.table(), flat, items, key)
        return jnp.sum(jnp.where(targets != 0, losses, 0.0), axis=-1), states

    def item_loss(
        self,
        states: Float[Array, 'batch length dim'],
        view: View,
        sequences: Int[Array, 'batch width'],
        loss: SequenceLoss,
        key: Key[Array, ''] | None,
    ) -> SumAndWeight:
        """A loss of the items' scores by inner products, on the states that the codes are written from."""
        return loss(Predictions(self.scored(states), view.targets, sequences), self, key)

    def encoded(
        self,
        inputs: Int[Array, 'batch length'],
        rows: PackedRows | None = None,
        enable_dropout: bool = False,
    ) -> Float[Array, 'batch length dim']:
        """The encoder's states, as the heads read them."""
        embedded, packed = self.item_encoder(inputs), {} if rows is None else {'rows': rows}
        return self.sequence_encoder(embedded, inputs != PADDING, enable_dropout=enable_dropout, **packed)

    def decoding_parts(self) -> tuple[Heads, list[Float[Array, '_ out']]]:
        """The parameters of heads that are searched, and the vectors of the nodes under each level's."""
        return self.heads(), self.heads.node_vectors(self.item_encoder.table())

    def catalogue_log_probabilities(self, states: Float[Array, 'batch dim']) -> Float[Array, 'batch items']:
        """The log-probability of every item after each state."""
        return self.heads.log_probabilities(self.item_encoder.table(), states)
