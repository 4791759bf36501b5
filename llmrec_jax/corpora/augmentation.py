"""Further training histories: parts of the users' own, some of their items out of order."""

import dataclasses

import numpy as np
from jaxtyping import Int


@dataclasses.dataclass(frozen=True)
class CropAndShuffle:
    """Beside each history, copies of parts of it, with items moved a few places in some of them.

    Attributes:
      copies: of each history.
      least: a copy holds at least this share of the history, in one piece whose place is drawn.
      shuffled: share of the copies whose order is changed.
      reach: an item moves by fewer places than this.

    Raises:
      ValueError: when a number is out of its range.
    """

    copies: int = 2
    least: float = 0.5
    shuffled: float = 0.5
    reach: int = 3

    def __post_init__(self):
        if self.copies < 1 or self.reach < 1:
            raise ValueError(
                f'CropAndShuffle.copies={self.copies} and CropAndShuffle.reach={self.reach} must be at '
                'least 1'
            )
        if not 0 < self.least <= 1 or not 0 <= self.shuffled <= 1:
            raise ValueError(
                f'CropAndShuffle.least={self.least} must lie in (0, 1], and CropAndShuffle.shuffled='
                f'{self.shuffled} in [0, 1]'
            )

    def copy(self, history: Int[np.ndarray, '_'], rng: np.random.Generator) -> Int[np.ndarray, '_']:
        """One copy of a history, of two items at least where it has as many.

        Args:
          history: tokens, oldest first.
          rng: draws.
        """
        least = min(max(2, int(np.ceil(self.least * len(history)))), len(history))
        length = int(rng.integers(least, len(history) + 1))
        first = int(rng.integers(0, len(history) - length + 1))
        part = history[first : first + length]
        if rng.random() >= self.shuffled:
            return part
        return part[np.argsort(np.arange(length) + rng.uniform(0, self.reach, length), kind='stable')]
