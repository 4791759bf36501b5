"""How far a mean over users could be off: percentile bootstrap, and paired comparison of two systems.

A resample of n users with replacement holds, for each distinct row of metric values, a multinomial number of
users that have it. Ranks give few distinct rows (k + 1 for a cut-off of k), so this is the ordinary bootstrap
at the cost of a handful of draws instead of n.
"""

import dataclasses

import numpy as np
from jaxtyping import Float

_DRAWS_AT_ONCE = 4_000_000


@dataclasses.dataclass(frozen=True)
class Bootstrap:
    """How resampling is done.

    Attributes:
      resamples: number of resamples.
      confidence: share of resampled means that an interval holds.
      seed: seed of the draws.

    Raises:
      ValueError: when a value is out of range.
    """

    resamples: int = 2000
    confidence: float = 0.95
    seed: int = 0

    def __post_init__(self):
        if self.resamples < 1:
            raise ValueError(f'Bootstrap.resamples is {self.resamples}; it must be at least 1')
        if not 0 < self.confidence < 1:
            raise ValueError(f'Bootstrap.confidence is {self.confidence}; it must lie between 0 and 1')

    def intervals(self, values: Float[np.ndarray, 'users metrics']) -> Float[np.ndarray, 'metrics 2']:
        """Lower and upper end of the percentile interval of each column's mean.

        Raises:
          ValueError: when there are no users or a value is not finite.
        """
        return self._ends(self.means(values))

    def means(self, values: Float[np.ndarray, 'users metrics']) -> Float[np.ndarray, 'resamples metrics']:
        """Mean of each column in each resample; one resample draws the same users for all columns.

        Raises:
          ValueError: when there are no users or a value is not finite.
        """
        if not len(values):
            raise ValueError('no users to resample')
        if not np.isfinite(values).all():
            raise ValueError(f'the metrics of user {np.argwhere(~np.isfinite(values))[0][0]} are not finite')
        rows, counts = np.unique(values, axis=0, return_counts=True)
        rng = np.random.default_rng(self.seed)
        means = np.empty((self.resamples, values.shape[1]))
        step = max(1, _DRAWS_AT_ONCE // len(rows))
        for start in range(0, self.resamples, step):
            stop = min(start + step, self.resamples)
            drawn = rng.multinomial(len(values), counts / len(values), size=stop - start)
            means[start:stop] = drawn @ rows / len(values)
        return means

    def compare(
        self, values: Float[np.ndarray, 'users'], others: Float[np.ndarray, 'users']
    ) -> 'PairedDifference':
        """Compares two systems on the same users.

        The p-value is two-sided: twice the smaller share of resamples whose mean difference lies on one side
        of 0 or at it, the observed sample counted among them, so that it is never 0.

        Raises:
          ValueError: when there are no users or a value is not finite.
        """
        differences = (values - others)[:, None]
        resampled = self.means(differences)
        low, high = self._ends(resampled)[0]
        sides = (int((resampled <= 0).sum()), int((resampled >= 0).sum()))
        return PairedDifference(
            difference=float(differences.mean()),
            low=float(low),
            high=float(high),
            p_value=min(1.0, 2 * (min(sides) + 1) / (self.resamples + 1)),
        )

    def ends(self, resampled: Float[np.ndarray, 'resamples']) -> tuple[float, float]:
        """Lower and upper end of the percentile interval of a value that was computed from each resample."""
        low, high = self._ends(resampled[:, None])[0]
        return float(low), float(high)

    def _ends(self, means: Float[np.ndarray, 'resamples metrics']) -> Float[np.ndarray, 'metrics 2']:
        tail = (1 - self.confidence) / 2
        return np.quantile(means, [tail, 1 - tail], axis=0).T


@dataclasses.dataclass(frozen=True)
class PairedDifference:
    """Mean difference of two systems over the same users.

    Attributes:
      difference: mean of the first minus mean of the second.
      low: lower end of its percentile interval.
      high: upper end.
      p_value: two-sided, against no difference; at least 2 / (resamples + 1).
    """

    difference: float
    low: float
    high: float
    p_value: float
