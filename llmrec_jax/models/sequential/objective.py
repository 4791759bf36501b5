"""What a sequence encoder is trained to predict, and what it is asked once it is trained.

It predicts the next item at every position, or, for the cloze objective, the items that were hidden.
"""

import dataclasses
from typing import NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Key

# A token that stands where there is an item, and tells nothing of it.
HIDDEN = -1


class View(NamedTuple):
    """A batch of sequences as the encoder is shown it.

    Attributes:
      inputs: tokens, padded on the left; `HIDDEN` where an item is not shown.
      targets: what the state of each position is to predict, as a token; 0 where nothing is predicted.
    """

    inputs: Int[Array, 'batch length']
    targets: Int[Array, 'batch length']


@runtime_checkable
class Objective(Protocol):
    """How training examples are made of whole sequences, and questions of histories."""

    def training_view(self, sequences: Int[Array, 'batch width'], key: Key[Array, ''] | None) -> View:
        """Inputs and targets of whole sequences, padded on the left; `key` is None where dropout is off."""
        ...

    def question(self, histories: Int[Array, 'batch width']) -> Int[Array, 'batch length']:
        """The inputs whose last state is to score the item after each history."""
        ...


@dataclasses.dataclass(frozen=True)
class NextItem:
    """Every position predicts the item after it: a sequence of n items gives n - 1 examples at once."""

    def training_view(self, sequences: Int[Array, 'batch width'], key: Key[Array, ''] | None) -> View:
        """All items but the last, and all but the first."""
        del key
        inputs = sequences[:, :-1]
        return View(inputs, sequences[:, 1:] * (inputs != 0))

    def question(self, histories: Int[Array, 'batch width']) -> Int[Array, 'batch length']:
        """The histories themselves."""
        return histories


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
