"""The ratings that users give, and the noise that P5 puts on them in training."""

import dataclasses
import functools
import math

import numpy as np
from jaxtyping import Float, Int


@dataclasses.dataclass(frozen=True)
class RatingScale:
    """The ratings that users may give.

    Attributes:
      lowest: fewest stars; a multiple of 0.1.
      highest: most stars; a multiple of 0.1.
      step: between two ratings; a multiple of 0.1.
      liked_from: who gives so many stars likes the item.

    Raises:
      ValueError: when the steps do not lead from the lowest to the highest rating.
    """

    lowest: float = 1.0
    highest: float = 5.0
    step: float = 1.0
    liked_from: float = 4.0

    def __post_init__(self):
        steps = (self.highest - self.lowest) / self.step if self.step > 0 else 0
        if steps < 1 or abs(steps - round(steps)) > 1e-6:
            raise ValueError(
                f'RatingScale: no whole number of steps of {self.step} leads from {self.lowest} to '
                f'{self.highest}'
            )

    @property
    def ratings(self) -> tuple[float, ...]:
        """Every rating, ascending."""
        steps = round((self.highest - self.lowest) / self.step)
        return tuple(round(self.lowest + level * self.step, 1) for level in range(steps + 1))

    def levels(self, stars: Float[np.ndarray, 'events']) -> Int[np.ndarray, 'events']:
        """The position of each rating in `ratings`, -1 where it is NaN.

        Raises:
          ValueError: naming the first event whose rating is not on the scale.
        """
        known = ~np.isnan(stars)
        level = np.rint((np.where(known, stars, self.lowest) - self.lowest) / self.step).astype(np.int64)
        on_scale = (level >= 0) & (level < len(self.ratings))
        nearest = np.asarray(self.ratings)[np.clip(level, 0, len(self.ratings) - 1)]
        wrong = np.flatnonzero(known & ~(on_scale & (np.abs(nearest - stars) < 1e-3)))
        if len(wrong):
            raise ValueError(
                f'event {wrong[0]} has a rating of {stars[wrong[0]]:g}, which is none of '
                f'{", ".join(f"{rating:g}" for rating in self.ratings)} ({len(wrong)} events are like this): '
                'mend the data, or set RatingScale.lowest, highest and step to the scale in use'
            )
        return np.where(known, level, -1)

    @functools.cached_property
    def tenths(self) -> tuple[str, ...]:
        """Every rating of one decimal on the scale: '1.0', '1.1' ... '5.0', the 41 strings of P5."""
        count = round((self.highest - self.lowest) * 10)
        return tuple(f'{self.lowest + tenth / 10:.1f}' for tenth in range(count + 1))

    @functools.cached_property
    def noise(self) -> Int[np.ndarray, 'ratings tenths']:
        """Cumulative probability, times 2^32, of each of `tenths` given each rating.

        A normal distribution about the middle of the tenths that round to the rating, with a quarter of their
        range as standard deviation, rounded to a tenth; what falls off the scale moves to its end. Integers,
        so that NumPy and TensorFlow draw the same.
        """
        count = len(self.tenths)
        table = np.zeros((len(self.ratings), count), np.int64)
        for level, rating in enumerate(self.ratings):
            low = max(rating - self.step / 2, self.lowest)
            high = min(rating + self.step / 2 - 0.1, self.highest)
            middle, deviation = (low + high) / 2, (high - low) / 4
            upper = [self.lowest + tenth / 10 + 0.05 for tenth in range(count)]
            below = [_normal_cdf((edge - middle) / deviation) for edge in upper]
            table[level] = np.rint(np.asarray([*below[:-1], 1.0]) * 2**32)
        return table


def _normal_cdf(deviations: float) -> float:
    return (1 + math.erf(deviations / math.sqrt(2))) / 2
