"""The query tower over a history: what was had last, and what was had before, weighed by how long ago."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Bool, Float

from llmrec_jax.models.sequential.layers import Affine


class HistoryTower(nn.Module):
    """The newest item's vector beside a decayed mean of all, through affine maps with ReLU between them.

    It is a sequence encoder as `models.sequential.sequence_encoder` asks for: the state of a position is that
    of the history up to it, so that all prefixes of a sequence are queries at the cost of one pass.

    Attributes:
      hidden: widths between the affine maps; none for a single map.
      decay: weight of an item in the mean relative to the one after it; 1 for the plain mean.
      dropout_rate: of the widths between the maps.
    """

    hidden: Sequence[int] = (128,)
    decay: float = 0.8
    dropout_rate: float = 0.0

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
          ValueError: when `decay` is not in (0, 1].
        """
        if not 0 < self.decay <= 1:
            raise ValueError(f'HistoryTower.decay={self.decay} must lie in (0, 1]')
        length, dim = embedded.shape[1:]
        lag = jnp.arange(length)[:, None] - jnp.arange(length)[None, :]
        weights = jnp.where(lag >= 0, self.decay ** jnp.maximum(lag, 0), 0.0)
        weights = weights[None] * mask[:, None, :]
        total = jnp.maximum(jnp.sum(weights, axis=-1, keepdims=True), 1e-9)
        mean = jnp.einsum('bts,bsd->btd', weights / total, embedded)
        states = jnp.concatenate([embedded, mean], axis=-1)
        for width in self.hidden:
            states = jax.nn.relu(Affine(width)(states))
            states = nn.Dropout(self.dropout_rate)(states, deterministic=not enable_dropout)
        return jnp.where(mask[..., None], Affine(dim)(states), 0.0)
