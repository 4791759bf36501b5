"""Two towers for queries that are texts, as both engines drive them."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax.linen import partitioning
from jaxtyping import Array, Float, Int

from llmrec_jax import marks
from llmrec_jax.models.model_protocol import Batch, Key, Params, SummedLossModel, Sums
from llmrec_jax.models.ranked_catalogue import best_items, target_log_probs
from llmrec_jax.models.sequential.item_encoder import CatalogueFacts, ItemEncoder
from llmrec_jax.models.sequential.losses import Predictions, SumAndWeight
from llmrec_jax.models.sequential.network import Scoring, SequentialNetwork
from llmrec_jax.models.two_tower import ITEM, QUERY
from llmrec_jax.models.two_tower.in_batch_softmax import InBatchSoftmax
from llmrec_jax.models.two_tower.towers import TextTower


class TextQueryNetwork(SequentialNetwork):
    """A `SequentialNetwork` whose states are those of texts: its `sequence_encoder` is a `TextTower`."""

    def __call__(
        self, vectors: Float[Array, 'texts width'], enable_dropout: bool = False
    ) -> Float[Array, 'texts scored']:
        """The state of every text, from its vector."""
        return self.scored(self.sequence_encoder(vectors, enable_dropout=enable_dropout))

    def pair_loss(
        self,
        vectors: Float[Array, 'pairs width'],
        items: Int[Array, 'pairs'],
        loss: InBatchSoftmax,
        enable_dropout: bool,
    ) -> SumAndWeight:
        """The loss of pairs of a text and the item that it looks for."""
        states, targets = self(vectors, enable_dropout)[:, None], items[:, None]
        return loss(Predictions(states, targets, targets), self, None)


@dataclasses.dataclass(frozen=True, eq=False)
class TextQueryModel(SummedLossModel):
    """A text tower, an item tower and their loss.

    An example is a pair: 'query', the row of a text among the training texts, and 'item', the token of the
    item that it looks for (item `i` is token `i + 1`). Of texts the model reads the vectors that a text
    encoder made; `for_catalogue` gives it those of training and the catalogue, and before that no other
    method may be called.

    Attributes:
      item_encoder: the item tower.
      text_tower: from the vectors of texts to states.
      loss: within the batch.
      scoring: how states and items are compared.
      query_vectors: of the training texts; None until `for_catalogue` knows them.
      list_length: items that `predict_batch` lists; one more than a metric's cut-off shows it all ties.

    Raises:
      ValueError: when a list is to be empty.
    """

    item_encoder: ItemEncoder
    text_tower: TextTower
    loss: InBatchSoftmax = dataclasses.field(default_factory=InBatchSoftmax)
    scoring: Scoring = dataclasses.field(default_factory=Scoring)
    query_vectors: Float[np.ndarray, 'texts width'] | None = None
    list_length: int = marks.without_effect(20)

    def __post_init__(self):
        if self.list_length < 1:
            raise ValueError(f'TextQueryModel.list_length={self.list_length} must be at least 1')

    def for_catalogue(
        self, facts: CatalogueFacts, query_vectors: Float[np.ndarray, 'texts width']
    ) -> 'TextQueryModel':
        """The model of this catalogue, trained on these texts.

        Args:
          facts: of the catalogue; `train_counts` count the items of the training pairs.
          query_vectors: a row for each training text.

        Raises:
          ValueError: when the item tower or the loss needs to know what is not known.
        """
        return dataclasses.replace(
            self,
            item_encoder=self.item_encoder.for_catalogue(facts),
            loss=self.loss.for_catalogue(facts),
            query_vectors=query_vectors,
        )

    @functools.cached_property
    def network(self) -> TextQueryNetwork:
        """The towers as one linen module."""
        return TextQueryNetwork(self.item_encoder, self.text_tower, self.scoring)

    @property
    def FEATURE_CONVERTER_CLS(self) -> Any:
        """The SeqIO feature converter; asking for it imports SeqIO, and with it TensorFlow."""
        from llmrec_jax.models.two_tower.text_query_features import text_query_feature_converter

        return text_query_feature_converter(self.query_vectors, self.item_encoder.n_items)

    def convert_features(self, task_batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Model features of a batch of the column store.

        Args:
          task_batch: 'query' [batch, 1] and 'item' [batch, 1].

        Returns:
          'query' [batch, width], float32, and 'item' [batch], int32.

        Raises:
          ValueError: when a row is of no text, or a token of no item.
        """
        rows, tokens = (np.asarray(task_batch[name])[:, 0] for name in (QUERY, ITEM))
        for name, values, last in (
            (QUERY, rows, len(self.query_vectors) - 1),
            (ITEM, tokens, self.item_encoder.n_items),
        ):
            if values.size and not 0 <= values.min() <= values.max() <= last:
                raise ValueError(
                    f'{name!r} holds numbers from {values.min()} to {values.max()}, but the last is {last}: '
                    'were the examples made of another corpus?'
                )
        return {QUERY: self.query_vectors[rows].astype(np.float32), ITEM: tokens.astype(np.int32)}

    def get_initial_variables(
        self,
        rng: Key,
        input_shapes: Mapping[str, tuple[int, ...]],
        input_types: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """'params' and 'params_axes' (their logical axis names); the shapes of batches do not matter."""
        del input_shapes, input_types
        return self.network.init(rng, jnp.ones((1, self.query_vectors.shape[1])), method=_touch)

    def loss_sums(self, params: Params, batch: Batch, dropout_rng: Key | None = None) -> Sums:
        """The summed loss and the number of pairs; dropout is off where there is no key."""
        total, weight = self.network.apply(
            {'params': params},
            jnp.asarray(batch[QUERY]),
            jnp.asarray(batch[ITEM]),
            self.loss,
            dropout_rng is not None,
            rngs=None if dropout_rng is None else {'dropout': dropout_rng},
            method='pair_loss',
        )
        return total, weight, {}

    def predict_batch_with_aux(
        self, params: Params, batch: Batch, rng: Key | None = None
    ) -> tuple[Int[Array, 'batch list'], dict[str, Array]]:
        """The best items for each text, *best last*, as T5X orders its decodes.

        Args:
          params: the network's parameters.
          batch: 'query'; 'item' is not read.
          rng: not read; the ranking draws nothing.

        Returns:
          See `ranked_catalogue.best_items`.
        """
        del rng
        return best_items(self._scores(params, batch), self.list_length)

    def score_batch(self, params: Params, batch: Batch) -> Float[Array, 'batch']:
        """Log-probability of each pair's item among all items, in nats; 0 for padding."""
        return target_log_probs(self._scores(params, batch), jnp.asarray(batch[ITEM]))

    def states(self, params: Params, vectors: Float[Array, 'texts width']) -> Float[Array, 'texts scored']:
        """The states of texts, from the vectors that the text encoder made of them."""
        return self.network.apply({'params': params}, vectors)

    def item_vectors(self, params: Params) -> Float[Array, 'items scored']:
        """The vectors of all items, whose inner product with a state is its score of them."""
        return self.network.apply({'params': params}, method='table')[: self.item_encoder.n_items]

    def _scores(self, params: Params, batch: Batch) -> Float[Array, 'batch rows']:
        table = self.network.apply({'params': params}, method='table')
        scores = jnp.dot(self.states(params, jnp.asarray(batch[QUERY])), table.T)
        is_item = (jnp.arange(len(table)) < self.item_encoder.n_items)[None, :]
        return partitioning.with_sharding_constraint(jnp.where(is_item, scores, -jnp.inf), ('batch', 'vocab'))


def _touch(network: TextQueryNetwork, vectors: Float[Array, 'texts width']) -> None:
    """Reaches every parameter: of the states, and of the items."""
    network(vectors)
    network.table()
