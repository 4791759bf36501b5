"""The item-level model on the encoders of a generative one: its teacher, and what it may start from."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from llmrec_jax.models.generative_sequential.model import GenerativeSequentialModel
from llmrec_jax.models.model_protocol import Batch, Key, Params, Sums, two_keys
from llmrec_jax.models.sequential import ITEMS
from llmrec_jax.models.sequential.layers import causal


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class ItemLevelModel(GenerativeSequentialModel):
    """A generative sequential model that is trained and asked by inner products of states and items alone.

    It has all parameters of the generative one, the heads' as they were drawn, so that a checkpoint of either
    is one of the other.
    """

    @classmethod
    def of(cls, model: GenerativeSequentialModel) -> 'ItemLevelModel':
        """The item-level model with the same encoders and loss."""
        fields = {field.name: getattr(model, field.name) for field in dataclasses.fields(model)}
        return cls(**fields)

    def _sums(self, params: Params, batch: Batch, draws: Key | None, dropout: Key | None) -> Sums:
        of_view, of_items = two_keys(draws)
        view, rows = self._view(batch, of_view)
        apply = functools.partial(self.network.apply, {'params': params})
        rngs = None if dropout is None else {'dropout': dropout}
        states = apply(view.inputs, rows, dropout is not None, rngs=rngs, method='encoded')
        items = jnp.asarray(batch[ITEMS])
        total, weight = apply(states, view, items, self.loss, of_items, method='item_loss')
        return total, weight, {}

    def scores(self, params: Params, histories: Int[Array, 'batch width']) -> Float[Array, 'batch rows']:
        """See `SequentialRecommenderModel.scores`."""
        return self.item_scores(params, histories)

    def best_unseen(
        self, params: Params, batch: Batch, best: int
    ) -> tuple[Int[Array, 'rows width best'], Float[Array, 'rows width best']]:
        """The best items at each position of packed rows that its history does not hold so far.

        Args:
          params: the network's parameters.
          batch: what `convert_features` gave of packed rows.
          best: how many.

        Returns:
          Items and scores; -inf where fewer are left.
        """
        view, rows = self._view(batch, None)
        apply = functools.partial(self.network.apply, {'params': params})
        states = apply(apply(view.inputs, rows, method='encoded'), method='scored')
        table = self._table(params)[: self.n_items]
        scores = states.reshape(-1, states.shape[-1]) @ table.T
        read, width = causal(view.inputs != 0, rows), view.inputs.shape[1]
        # What a position does not read goes past the last column, where it is dropped.
        seen = jnp.where(read, view.inputs[:, None, :] - 1, self.n_items).reshape(-1, width)
        scores = scores.at[jnp.arange(len(scores))[:, None], seen].set(-jnp.inf, mode='drop')
        found, items = jax.lax.top_k(scores, min(best, self.n_items))
        shape = (*view.inputs.shape, -1)
        return items.reshape(shape), found.reshape(shape)
