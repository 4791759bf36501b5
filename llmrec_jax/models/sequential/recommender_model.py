"""A sequential recommender as the embedded engine drives it, and as what scores a catalogue."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree

from llmrec_jax.models.sequential import ITEMS
from llmrec_jax.models.sequential.catalogue import CatalogueFacts
from llmrec_jax.models.sequential.item_encoder import PADDING, ItemEncoder
from llmrec_jax.models.sequential.losses import SequenceLoss
from llmrec_jax.models.sequential.network import Scoring, SequentialNetwork
from llmrec_jax.models.sequential.objective import NextItem, Objective
from llmrec_jax.models.sequential.sequence_encoder import SequenceEncoder

Params = PyTree[Array]


@dataclasses.dataclass(frozen=True, eq=False)
class SequentialRecommenderModel:
    """Encoders, their loss and their scores; what `training.train_state.TrainableModel` asks of a model.

    A configuration names no catalogue: `for_catalogue` makes the model of one, and before that none of the
    other methods may be called.

    Attributes:
      item_encoder: from items to vectors.
      sequence_encoder: from the vectors of a history to states.
      loss: of the states.
      objective: what the states are to predict.
      scoring: how states and items are compared.
    """

    item_encoder: ItemEncoder
    sequence_encoder: SequenceEncoder
    loss: SequenceLoss
    objective: Objective = dataclasses.field(default_factory=NextItem)
    scoring: Scoring = dataclasses.field(default_factory=Scoring)

    def for_catalogue(self, facts: CatalogueFacts) -> 'SequentialRecommenderModel':
        """The model of this catalogue.

        Raises:
          ValueError: when the item encoder or the loss needs to know what is not known.
        """
        return dataclasses.replace(
            self,
            item_encoder=self.item_encoder.for_catalogue(facts),
            loss=self.loss.for_catalogue(facts),
        )

    @functools.cached_property
    def network(self) -> SequentialNetwork:
        """The encoders as one linen module."""
        return SequentialNetwork(self.item_encoder, self.sequence_encoder, self.scoring)

    @property
    def n_items(self) -> int:
        """Size of the catalogue."""
        return self.item_encoder.n_items

    def convert_features(self, task_batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Model features of a batch of the column store, which is padded on the right.

        Args:
          task_batch: 'items' [batch, width], tokens of whole sequences.

        Returns:
          'items' [batch, width], padded on the left; int32.

        Raises:
          ValueError: when a token is of no item of the catalogue, which the network would not notice.
        """
        tokens = np.asarray(task_batch[ITEMS], np.int32)
        if tokens.size and not 0 <= tokens.min() <= tokens.max() <= self.n_items:
            raise ValueError(
                f'{ITEMS!r} holds tokens from {tokens.min()} to {tokens.max()}, but the catalogue has '
                f'{self.n_items} items: were the examples made of another corpus?'
            )
        return {ITEMS: padded_left(tokens)}

    def get_initial_variables(
        self,
        rng: Key[Array, ''],
        input_shapes: Mapping[str, tuple[int, ...]],
        input_types: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """'params' and 'params_axes' (their logical axis names); the shapes of batches do not matter."""
        del input_shapes, input_types
        return self.network.init(rng, jnp.ones((1, 2), jnp.int32), method=_touch)

    def loss_sums(
        self, params: Params, batch: Mapping[str, Array], dropout_rng: Key[Array, ''] | None = None
    ) -> tuple[Float[Array, ''], Float[Array, ''], dict[str, Float[Array, '']]]:
        """The summed loss and the number of positions it is over: those of microbatches add up to a
        batch's.

        Args:
          params: the network's parameters.
          batch: what `convert_features` gave.
          dropout_rng: of dropout and of all that is drawn; dropout is off where there is none.

        Raises:
          ValueError: when the loss draws and there is no key.
        """
        keys = None if dropout_rng is None else jax.random.split(dropout_rng)
        total, weight = self.network.apply(
            {'params': params},
            jnp.asarray(batch[ITEMS]),
            self.loss,
            self.objective,
            None if keys is None else keys[0],
            keys is not None,
            rngs=None if keys is None else {'dropout': keys[1]},
            method='loss_sums',
        )
        return total, weight, {}

    def states(self, params: Params, histories: Int[Array, 'batch width']) -> Float[Array, 'batch scored']:
        """The state that each history ends in.

        Args:
          params: the network's parameters.
          histories: tokens, padded on the left.
        """
        inputs = self.objective.question(histories)
        return self.network.apply({'params': params}, inputs)[:, -1]

    def item_vectors(self, params: Params) -> Float[Array, 'items scored']:
        """The vectors of all items, whose inner product with a state is its score of them."""
        return self._table(params)[: self.n_items]

    def scores(self, params: Params, histories: Int[Array, 'batch width']) -> Float[Array, 'batch rows']:
        """The score of every item after each history; -inf in the columns past the catalogue.

        Args:
          params: the network's parameters.
          histories: tokens, padded on the left.
        """
        scores = jnp.dot(self.states(params, histories), self._table(params).T)
        is_item = (jnp.arange(scores.shape[1]) < self.n_items)[None, :]
        return jnp.where(is_item, scores, -jnp.inf)

    def _table(self, params: Params) -> Float[Array, 'rows scored']:
        return self.network.apply({'params': params}, method='table')


def padded_left(tokens: Int[np.ndarray, 'batch width']) -> Int[np.ndarray, 'batch width']:
    """Rows that were padded on the right, padded on the left."""
    width = tokens.shape[1]
    absent = width - np.count_nonzero(tokens != PADDING, axis=1)
    columns = np.arange(width)[None, :] - absent[:, None]
    return np.where(columns >= 0, np.take_along_axis(tokens, np.maximum(columns, 0), axis=1), PADDING)


def _touch(network: SequentialNetwork, inputs: Int[Array, 'batch length']) -> None:
    """Reaches every parameter: of the states, and of items that are only scored."""
    network(inputs)
    network.table()
