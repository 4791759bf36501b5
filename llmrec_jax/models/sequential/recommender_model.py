"""A sequential recommender as both engines drive it, and as what scores a catalogue."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.linen import partitioning
from jaxtyping import Array, Float, Int

from llmrec_jax import marks
from llmrec_jax.models.model_protocol import Batch, Key, Params, SummedLossModel, Sums, mean_metrics, two_keys
from llmrec_jax.models.ranked_catalogue import (
    KEPT,
    REMOVED,
    SEEN,
    best_items,
    check_seen_items,
    seen_tokens,
    target_log_probs,
)
from llmrec_jax.models.sequential import ITEMS
from llmrec_jax.models.sequential.item_encoder import PADDING, CatalogueFacts, ItemEncoder
from llmrec_jax.models.sequential.losses import SequenceLoss
from llmrec_jax.models.sequential.network import Scoring, SequenceEncoder, SequentialNetwork
from llmrec_jax.models.sequential.objective import NextItem, Objective

# Of what a loss draws where T5X evaluates it: always the same, so that evaluations compare.
EVALUATION_SEED = 0


@dataclasses.dataclass(frozen=True, eq=False)
class SequentialRecommenderModel(SummedLossModel):
    """Encoders, their loss and their scores.

    A configuration names no catalogue: `for_catalogue` makes the model of one, and before that none of the
    other methods may be called.

    A batch's last column holds what is asked for: in training every item is the target of those before it,
    and T5X's predictions and scores are of the last one, which they do not read.

    Attributes:
      item_encoder: from items to vectors.
      sequence_encoder: from the vectors of a history to states.
      loss: of the states.
      objective: what the states are to predict.
      scoring: how states and items are compared.
      list_length: items that `predict_batch` lists; one more than a metric's cut-off shows it all ties.
      seen_items: 'kept', or 'removed' for lists that leave out the items of the batch's 'seen'.

    Raises:
      ValueError: when a list is to be empty, or `seen_items` has no such position.
    """

    item_encoder: ItemEncoder
    sequence_encoder: SequenceEncoder
    loss: SequenceLoss
    objective: Objective = dataclasses.field(default_factory=NextItem)
    scoring: Scoring = dataclasses.field(default_factory=Scoring)
    list_length: int = marks.without_effect(20)
    seen_items: str = marks.without_effect(KEPT)

    def __post_init__(self):
        check_seen_items(type(self).__name__, self.seen_items)
        if self.list_length < 1:
            raise ValueError(f'{type(self).__name__}.list_length={self.list_length} must be at least 1')

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
    def in_batch_loss(self) -> bool:
        """See `SummedLossModel`."""
        return self.loss.in_batch

    @property
    def n_items(self) -> int:
        """Size of the catalogue."""
        return self.item_encoder.n_items

    @property
    def FEATURE_CONVERTER_CLS(self) -> Any:
        """The SeqIO feature converter; asking for it imports SeqIO, and with it TensorFlow."""
        from llmrec_jax.models.sequential.item_features import item_feature_converter

        return item_feature_converter(self.n_items, seen=self.seen_items == REMOVED)

    def convert_features(self, task_batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Model features of a batch of the column store, which is padded on the right.

        Args:
          task_batch: 'items' [batch, width], tokens of whole sequences; and 'seen', for a model that removes
            seen items.

        Returns:
          'items' [batch, width], padded on the left, and 'seen' as it came, where it is needed; int32.

        Raises:
          ValueError: when a token is of no item of the catalogue, which the network would not notice.
        """
        tokens = np.asarray(task_batch[ITEMS], np.int32)
        check_tokens(ITEMS, tokens, self.n_items)
        seen = self.seen_items == REMOVED and SEEN in task_batch
        return {
            ITEMS: padded_left(tokens),
            **({SEEN: np.asarray(task_batch[SEEN], np.int32)} if seen else {}),
        }

    def get_initial_variables(
        self,
        rng: Key,
        input_shapes: Mapping[str, tuple[int, ...]],
        input_types: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """'params' and 'params_axes' (their logical axis names); the shapes of batches do not matter."""
        del input_shapes, input_types
        return self.network.init(rng, jnp.ones((1, 2), jnp.int32), method=_touch)

    def loss_sums(self, params: Params, batch: Batch, dropout_rng: Key | None = None) -> Sums:
        """The summed loss and the number of positions it is over.

        Those of microbatches add up to a batch's, unless the loss is one within a batch (`in_batch_loss`).

        Args:
          params: the network's parameters.
          batch: what `convert_features` gave.
          dropout_rng: of dropout and of all that is drawn; dropout is off where there is none.

        Raises:
          ValueError: when the loss draws and there is no key.
        """
        draws, dropout = two_keys(dropout_rng)
        total, weight = self._loss_sums(params, batch, draws, dropout)
        return total, weight, {}

    def eval_fn(self, params: Params, batch: Batch) -> tuple[Float[Array, ''], dict[str, Any]]:
        """`loss_fn` without dropout; what loss and objective draw, they draw alike each time."""
        key = jax.random.key(EVALUATION_SEED)
        loss, weight = self._loss_sums(params, batch, key, None)
        return loss / self.loss_normalizer(batch, weight), mean_metrics(loss, weight, {})

    def _loss_sums(
        self, params: Params, batch: Batch, draws: Key | None, dropout: Key | None
    ) -> tuple[Float[Array, ''], Float[Array, '']]:
        return self.network.apply(
            {'params': params},
            jnp.asarray(batch[ITEMS]),
            self.loss,
            self.objective,
            draws,
            dropout is not None,
            rngs=None if dropout is None else {'dropout': dropout},
            method='loss_sums',
        )

    def predict_batch_with_aux(
        self, params: Params, batch: Batch, rng: Key | None = None
    ) -> tuple[Int[Array, 'batch list'], dict[str, Array]]:
        """The best items after each history, *best last*, as T5X orders its decodes.

        Args:
          params: the network's parameters.
          batch: 'items', whose last column is what is asked for and not read; 'seen' where seen items are
            removed.
          rng: not read; the ranking draws nothing.

        Returns:
          See `ranked_catalogue.best_items`.

        Raises:
          ValueError: when seen items are to be removed and the batch does not say which they are.
        """
        del rng
        return best_items(self._asked(params, batch), self.list_length, seen_tokens(batch, self.seen_items))

    def score_batch(self, params: Params, batch: Batch) -> Float[Array, 'batch']:
        """Log-probability of each sequence's last item after those before it, in nats; 0 for padding."""
        return target_log_probs(self._asked(params, batch), jnp.asarray(batch[ITEMS])[:, -1])

    def _asked(self, params: Params, batch: Batch) -> Float[Array, 'batch rows']:
        scores = self.scores(params, jnp.asarray(batch[ITEMS])[:, :-1])
        return partitioning.with_sharding_constraint(scores, ('batch', 'vocab'))

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


def check_tokens(feature: str, tokens: Int[np.ndarray, '*shape'], n_items: int) -> None:
    """Checks that tokens are of a catalogue of so many items.

    Raises:
      ValueError: naming the feature, when one is not.
    """
    if tokens.size and not 0 <= tokens.min() <= tokens.max() <= n_items:
        raise ValueError(
            f'{feature!r} holds tokens from {tokens.min()} to {tokens.max()}, but the catalogue has '
            f'{n_items} items: were the examples made of another corpus?'
        )


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
