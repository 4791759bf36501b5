"""The cloze objective: some items of a sequence are hidden, and their states tell them."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Key

from llmrec_jax.models.sequential.objective import HIDDEN, View


@dataclasses.dataclass(frozen=True)
class Cloze:
    """BERT4Rec's objective (Sun et al., arXiv 1904.06690, section 3.6), for encoders that see both sides.

    Attributes:
      rate: share of a sequence's items that are hidden; the paper's is 0.6 on Beauty, 0.2 on MovieLens-1M.
      last_only: share of sequences of which the last item alone is hidden, as it is in a question.

    Raises:
      ValueError: for a rate outside (0, 1) or a share outside [0, 1].
    """

    rate: float = 0.2
    last_only: float = 0.1

    def __post_init__(self):
        if not 0 < self.rate < 1:
            raise ValueError(f'Cloze.rate={self.rate} must lie in (0, 1)')
        if not 0 <= self.last_only <= 1:
            raise ValueError(f'Cloze.last_only={self.last_only} must lie in [0, 1]')

    def training_view(self, sequences: Int[Array, 'batch width'], key: Key[Array, ''] | None) -> View:
        """Sequences some of whose items are hidden, and those items: at least one of each sequence.

        Without a key the last item is hidden, which is the question that validation asks.
        """
        last = jnp.broadcast_to(jnp.arange(sequences.shape[1]) == sequences.shape[1] - 1, sequences.shape)
        hidden = (last if key is None else self._drawn(sequences != 0, last, key)) & (sequences != 0)
        return View(jnp.where(hidden, HIDDEN, sequences), jnp.where(hidden, sequences, 0))

    def question(self, histories: Int[Array, 'batch width']) -> Int[Array, 'batch length']:
        """The histories, and one hidden item after each."""
        return jnp.pad(histories, ((0, 0), (0, 1)), constant_values=HIDDEN)

    def _drawn(
        self, present: Bool[Array, 'batch width'], last: Bool[Array, 'batch width'], key: Key[Array, '']
    ) -> Bool[Array, 'batch width']:
        items_key, rows_key = jax.random.split(key)
        drawn = jax.random.bernoulli(items_key, self.rate, present.shape) & present
        alone = jax.random.bernoulli(rows_key, self.last_only, present.shape[:1]) | ~drawn.any(axis=1)
        return jnp.where(alone[:, None], last, drawn)
