"""A sequential network whose states write the codes of the next item, and may score items beside that."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from llmrec_jax.models.generative_sequential.code_loss import summed_code_losses
from llmrec_jax.models.generative_sequential.exhaustive import log_probabilities
from llmrec_jax.models.generative_sequential.heads import AutoregressiveHeads, Level
from llmrec_jax.models.sequential.losses import Predictions, SequenceLoss, SumAndWeight
from llmrec_jax.models.sequential.network import SequentialNetwork
from llmrec_jax.models.sequential.objective import View


class GenerativeNetwork(SequentialNetwork):
    """A `SequentialNetwork`, and heads on its states.

    What it scores by inner products is an item-level model on the same states, which may be trained along
    and asked beside the codes.

    Attributes:
      heads: from states to codes.
    """

    heads: AutoregressiveHeads

    def code_losses(
        self,
        view: View,
        key: Key[Array, ''] | None,
        positions_at_once: int,
    ) -> tuple[Float[Array, 'levels'], Float[Array, 'batch length dim']]:
        """The summed cross-entropy of each level over a batch's targets, and the states.

        Args:
          view: inputs and targets.
          key: of the heads' dropout; None for none, there and in the encoder.
          positions_at_once: whose heads are computed at once.
        """
        states = self.encoded(view.inputs, key is not None)
        levels, vectors = self.decoding_parts()
        targets = view.targets.reshape(-1)
        losses = summed_code_losses(
            levels,
            self.heads.catalogue,
            vectors,
            states.reshape(len(targets), -1),
            jnp.maximum(targets - 1, 0),
            targets != 0,
            self.heads.dropout_rate,
            key,
            positions_at_once,
        )
        return losses, states

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
        self, inputs: Int[Array, 'batch length'], enable_dropout: bool = False
    ) -> Float[Array, 'batch length dim']:
        """The encoder's states, as the heads read them."""
        embedded = self.item_encoder(inputs)
        return self.sequence_encoder(embedded, inputs != 0, enable_dropout=enable_dropout)

    def decoding_parts(self) -> tuple[list[Level], list[Float[Array, 'nodes node_dim'] | None]]:
        """The heads' parameters, and the vectors of the nodes under each level's."""
        return self.heads(), self.heads.node_vectors(self.item_encoder.table())

    def catalogue_log_probabilities(self, states: Float[Array, 'batch dim']) -> Float[Array, 'batch items']:
        """The log-probability of every item after each state."""
        levels, vectors = self.decoding_parts()
        return log_probabilities(levels, self.heads.catalogue, vectors, states)
