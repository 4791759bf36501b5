"""What a sequence encoder is trained to predict, and what it is asked once it is trained."""

import dataclasses
from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Array, Int, Key

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
