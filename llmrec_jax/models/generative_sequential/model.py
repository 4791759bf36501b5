"""A generative sequential retriever as both engines drive it."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.linen import partitioning
from jaxtyping import Array, Float, Int

from llmrec_jax.models.generative_sequential.heads import CodeHeads
from llmrec_jax.models.generative_sequential.network import CodedSequentialNetwork
from llmrec_jax.models.model_protocol import Batch, Key, Params, Sums, mean_metrics, two_keys
from llmrec_jax.models.sequential import ITEMS
from llmrec_jax.models.sequential.item_encoder import CatalogueFacts
from llmrec_jax.models.sequential.layers import PackedRows
from llmrec_jax.models.sequential.objective import View
from llmrec_jax.models.sequential.recommender_model import (
    EVALUATION_SEED,
    SequentialRecommenderModel,
    check_tokens,
)

# Features of rows that hold several histories: what follows each item, and which history it is of.
TARGETS = 'targets'
SEGMENTS = f'{ITEMS}_segment_ids'
# How many items of its history come after each.
FROM_END = 'from_end'


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class GenerativeSequentialModel(SequentialRecommenderModel):
    """A sequential recommender that answers with codes; what it scores items by is the codes' probability.

    Attributes:
      heads: from states to codes.
      item_loss_weight: of `loss`, which judges inner products of states and items, beside the codes' loss; 0
        leaves it out.

    Raises:
      ValueError: when the objective does not predict what comes next, or the weight is negative.
    """

    heads: CodeHeads
    item_loss_weight: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        if self.item_loss_weight < 0:
            raise ValueError(
                f'GenerativeSequentialModel.item_loss_weight={self.item_loss_weight} must be 0 or more'
            )

    def for_catalogue(self, facts: CatalogueFacts) -> 'GenerativeSequentialModel':
        """The model of this catalogue.

        Raises:
          ValueError: when the items have no codes, or the loss needs to know what is not known.
        """
        return dataclasses.replace(super().for_catalogue(facts), heads=self.heads.for_catalogue(facts))

    @functools.cached_property
    def network(self) -> CodedSequentialNetwork:
        """The encoders and heads as one linen module."""
        return CodedSequentialNetwork(self.item_encoder, self.sequence_encoder, self.scoring, self.heads)

    def convert_features(self, task_batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Model features of a batch of the column store.

        Whole sequences become what `SequentialRecommenderModel` makes of them. Rows that hold several
        histories name what follows each item beside it, and stay as they are.

        Args:
          task_batch: 'items' alone; or of packed rows 'items', 'targets' and the items' segments (see
            `training.packing`).

        Raises:
          ValueError: when a token is of no item of the catalogue.
        """
        if TARGETS not in task_batch:
            return super().convert_features(task_batch)
        converted = {name: np.asarray(task_batch[name], np.int32) for name in (ITEMS, TARGETS)}
        for name, tokens in converted.items():
            check_tokens(name, tokens, self.n_items)
        segments = np.asarray(task_batch.get(SEGMENTS, converted[ITEMS] != 0), np.int32)
        return {**converted, SEGMENTS: segments, FROM_END: _from_end(segments)}

    def get_initial_variables(self, rng: Key, input_shapes: Any, input_types: Any = None) -> dict[str, Any]:
        """See `SequentialRecommenderModel`."""
        del input_shapes, input_types
        return self.network.init(rng, jnp.ones((1, 2), jnp.int32), method=_touch)

    def loss_sums(self, params: Params, batch: Batch, dropout_rng: Key | None = None) -> Sums:
        """The summed loss, the number of targets, and the codes' loss of each level.

        Args:
          params: the network's parameters.
          batch: what `convert_features` gave.
          dropout_rng: of dropout and of all that is drawn; dropout is off where there is none.

        Raises:
          ValueError: when the items' loss draws and there is no key.
        """
        draws, dropout = two_keys(dropout_rng)
        return self._sums(params, batch, draws, dropout)

    def eval_fn(self, params: Params, batch: Batch) -> tuple[Float[Array, ''], dict[str, Any]]:
        """`loss_fn` without dropout; what the items' loss draws, it draws alike each time."""
        loss, weight, sums = self._sums(params, batch, jax.random.key(EVALUATION_SEED), None)
        return loss / self.loss_normalizer(batch, weight), mean_metrics(loss, weight, sums)

    def _sums(self, params: Params, batch: Batch, draws: Key | None, dropout: Key | None) -> Sums:
        of_view, of_items = two_keys(draws)
        view, rows = self._view(batch, of_view)
        apply = functools.partial(self.network.apply, {'params': params})
        of_encoder, of_heads = two_keys(dropout)
        rngs = None if dropout is None else {'dropout': of_encoder}
        losses, states = apply(view, rows, of_heads, rngs=rngs, method='code_losses')
        weight = jnp.sum(view.targets != 0).astype(losses.dtype)
        total = jnp.sum(losses)
        sums = {f'codes_{level}': loss for level, loss in enumerate(losses)}
        if self.item_loss_weight:
            items = jnp.asarray(batch[ITEMS])
            of_products, _ = apply(states, view, items, self.loss, of_items, method='item_loss')
            total += self.item_loss_weight * of_products
            sums['items'] = of_products
        return total, weight, sums

    def _view(self, batch: Batch, key: Key | None) -> tuple[View, PackedRows | None]:
        items = jnp.asarray(batch[ITEMS])
        if TARGETS not in batch:
            return self.objective.training_view(items, key), None
        rows = PackedRows(jnp.asarray(batch[SEGMENTS]), jnp.asarray(batch[FROM_END]))
        return View(items, jnp.asarray(batch[TARGETS])), rows

    def encoded(self, params: Params, histories: Int[Array, 'batch width']) -> Float[Array, 'batch dim']:
        """The state that each history ends in, as the heads read it."""
        inputs = self.objective.question(histories)
        return self.network.apply({'params': params}, inputs, method='encoded')[:, -1]

    def scores(self, params: Params, histories: Int[Array, 'batch width']) -> Float[Array, 'batch rows']:
        """The log-probability of every item after each history; -inf in the columns past the catalogue.

        Args:
          params: the network's parameters.
          histories: tokens, padded on the left.
        """
        states = self.encoded(params, histories)
        found = self.network.apply({'params': params}, states, method='catalogue_log_probabilities')
        rows = self._rows(params)
        found = jnp.pad(found, ((0, 0), (0, rows - self.n_items)), constant_values=-jnp.inf)
        return partitioning.with_sharding_constraint(found, ('batch', 'vocab'))

    def item_scores(self, params: Params, histories: Int[Array, 'batch width']) -> Float[Array, 'batch rows']:
        """The inner product of each history's state and every item; -inf past the catalogue."""
        return super().scores(params, histories)

    def _rows(self, params: Params) -> int:
        return jax.eval_shape(self._table, params).shape[0]


def _from_end(segments: Int[np.ndarray, 'rows width']) -> Int[np.ndarray, 'rows width']:
    """How many positions of the same segment come after each; segments are runs."""
    width = segments.shape[1]
    last = np.ones(segments.shape, bool)
    last[:, :-1] = segments[:, 1:] != segments[:, :-1]
    ends = np.where(last, np.arange(width), width)
    ends = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
    return (ends - np.arange(width)).astype(np.int32)


def _touch(network: CodedSequentialNetwork, inputs: Int[Array, 'batch length']) -> None:
    """Reaches every parameter."""
    network(inputs)
    network.table()
    network.heads()
