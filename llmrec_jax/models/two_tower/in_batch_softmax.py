"""The softmax within a batch, corrected for how often an item is there to be a negative."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from llmrec_jax.models.sequential.item_encoder import CatalogueFacts
from llmrec_jax.models.sequential.losses import Predictions, ScoredItems, SumAndWeight


@dataclasses.dataclass(frozen=True, eq=False)
class InBatchSoftmax:
    """The targets of a microbatch are one another's negatives, so that no catalogue is scored.

    What is in a microbatch decides the loss: `Trainer.batch_size / Trainer.microbatches` examples, drawn at
    random, not cut by their length as for other losses.

    A frequent item is a negative often: uncorrected, the scores learn `log p(item | query) - log p(item)`,
    which recommends what is rare. With the logQ correction a negative of probability q among n others stands
    for 1 / (n q) items, so that `exp(s_target) + sum_j exp(s_j - log(n q_j))` is the normalizer of the whole
    catalogue on average, and the scores learn `log p(item | query)`. Yi et al. (2019, section 3, equation 5)
    correct the target's own score as well, which is not drawn but always there; with another row's equal
    target left out, as it is here, that would favour frequent targets.

    It is a `SequenceLoss`; the negatives are the other targets of the microbatch, on whichever devices.

    Attributes:
      positions: of each sequence, how many are predicted in a step, drawn anew each time; None for all, whose
        scores then take memory by the square of batch size times length.
      log_q: whether the correction is made, by an item's share of the training events; where positions are
        drawn, items of short histories are targets more often than that.
      probabilities: of an item to be a target; None until `for_catalogue` knows them.

    Raises:
      ValueError: when `positions` is below 1.
    """

    positions: int | None = 1
    log_q: bool = True
    probabilities: Float[np.ndarray, 'items'] | None = None
    in_batch: ClassVar[bool] = True

    def __post_init__(self):
        if self.positions is not None and self.positions < 1:
            raise ValueError(f'InBatchSoftmax.positions={self.positions} must be at least 1, or None for all')

    def for_catalogue(self, facts: CatalogueFacts) -> 'InBatchSoftmax':
        """The loss that corrects by this catalogue's counts.

        Raises:
          ValueError: when it corrects and nobody counted.
        """
        if not self.log_q:
            return self
        if facts.train_counts is None:
            raise ValueError('InBatchSoftmax.log_q needs counts of the training items')
        # One more of each, so that an item that is no target in training has a finite logarithm.
        counts = facts.train_counts + 1.0
        return dataclasses.replace(self, probabilities=(counts / counts.sum()).astype(np.float32))

    def __call__(
        self, predictions: Predictions, items: ScoredItems, key: Key[Array, ''] | None
    ) -> SumAndWeight:
        """See `SequenceLoss`.

        Raises:
          ValueError: when positions are drawn and there is no key, or `for_catalogue` was not called.
        """
        states, targets = predictions.states, predictions.targets
        if self.positions is not None and self.positions < targets.shape[1]:
            if key is None:
                raise ValueError('InBatchSoftmax draws positions: it needs a key')
            drawn = draw_positions(key, targets, self.positions)
            states = jnp.take_along_axis(states, drawn[:, :, None], axis=1)
            targets = jnp.take_along_axis(targets, drawn, axis=1)
        states, targets = states.reshape(-1, states.shape[-1]), targets.reshape(-1)
        scores, valid = jnp.dot(states, items.vectors(targets).T), targets != 0
        of_negatives = scores
        if self.log_q:
            if self.probabilities is None:
                raise ValueError('InBatchSoftmax.probabilities are not known: call for_catalogue first')
            others = jnp.maximum(jnp.sum(valid) - 1, 1)
            expected = others * jnp.asarray(self.probabilities)[jnp.maximum(targets - 1, 0)]
            of_negatives = scores - jnp.log(expected)[None, :]
        losses = in_batch_losses(jnp.diagonal(scores), of_negatives, targets, valid)
        return jnp.sum(losses), jnp.sum(valid).astype(losses.dtype)


def draw_positions(
    key: Key[Array, ''], targets: Int[Array, 'batch length'], positions: int
) -> Int[Array, 'batch positions']:
    """Columns drawn from each row, none twice, and those without a target last."""
    rank = jnp.where(targets != 0, jax.random.uniform(key, targets.shape), -1.0)
    return jax.lax.top_k(rank, positions)[1]


def in_batch_losses(
    of_targets: Float[Array, 'batch'],
    of_negatives: Float[Array, 'batch batch'],
    items: Int[Array, 'batch'],
    valid: Bool[Array, 'batch'],
) -> Float[Array, 'batch']:
    """`-s_i + log(exp(s_i) + sum_j exp(s_ij))` of each row, over the columns that may be its negatives.

    Args:
      of_targets: score of each row's query and its own item.
      of_negatives: score of each row's query and each row's item; the diagonal is not read.
      items: the rows' items; another row of the same item is no negative.
      valid: rows that are no padding; the others are nobody's negatives and lose 0.
    """
    counted = (items[:, None] != items[None, :]) & valid[None, :]
    normalizer = jax.nn.logsumexp(jnp.where(counted, of_negatives, -jnp.inf), axis=1)
    # A row without negatives has -inf there, which `logaddexp` knows.
    return jnp.where(valid, jnp.logaddexp(of_targets, normalizer) - of_targets, 0.0)
