"""What a sequential recommender asks of its sequence encoder."""

from typing import Protocol, runtime_checkable

from jaxtyping import Array, Bool, Float


@runtime_checkable
class SequenceEncoder(Protocol):
    """A linen module from the vectors of a sequence to its states, of the same width.

    A state may depend on its own position and on those before it, unless the encoder's objective hides what
    it predicts. Positions where `mask` is False must change nothing elsewhere: padding is on the left,
    positions are counted from the right, and the states of a sequence do not depend on how far it is
    padded.
    """

    def __call__(
        self,
        embedded: Float[Array, 'batch length dim'],
        mask: Bool[Array, 'batch length'],
        *,
        enable_dropout: bool,
    ) -> Float[Array, 'batch length dim']:
        """The states.

        Args:
          embedded: vectors of the items, zero at padding.
          mask: True where there is an item.
          enable_dropout: whether to draw dropout, from the stream 'dropout'.
        """
        ...
