"""The best validation so far, and when to stop waiting for a better one."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class BestMetric:
    """Which validation metric decides, and in which direction.

    Attributes:
      name: e.g. 'recall@10'.
      mode: 'max' where larger is better, 'min' where smaller is.

    Raises:
      ValueError: when the mode is neither.
    """

    name: str = 'recall@10'
    mode: str = 'max'

    def __post_init__(self):
        if self.mode not in ('max', 'min'):
            raise ValueError(f"best metric {self.name!r}: mode={self.mode!r} must be 'max' or 'min'")

    def value(self, row: dict[str, Any]) -> float:
        """The metric in a row of the validation log, signed so that larger is better; -inf where undefined.

        Raises:
          ValueError: when the row lacks it.
        """
        if self.name not in row:
            raise ValueError(
                f'validation gives no metric {self.name!r} to choose the best checkpoint by; it gives '
                f'{", ".join(name for name in row if name != "step")}'
            )
        value = row[self.name]
        if value is None or math.isnan(value):
            return -math.inf
        return value if self.mode == 'max' else -value

    def best(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        """The best row, the first among equals; None of no rows."""
        return max(rows, key=self.value, default=None)


@dataclasses.dataclass(frozen=True)
class EarlyStopping:
    """Ends a run when validation has stopped improving.

    Attributes:
      patience: validations without improvement after which to stop.
      min_delta: a smaller improvement than this is none.

    Raises:
      ValueError: when the patience is below 1.
    """

    patience: int = 5
    min_delta: float = 0.0

    def __post_init__(self):
        if self.patience < 1:
            raise ValueError(f'patience={self.patience} must be at least 1')

    def stops(self, metric: BestMetric, rows: Sequence[dict[str, Any]]) -> bool:
        """Whether the run should end after the validations in `rows`, oldest first."""
        best, waited = -math.inf, 0
        for row in rows:
            value = metric.value(row)
            improved = value > best + self.min_delta or (best == -math.inf and value > best)
            best, waited = (value, 0) if improved else (best, waited + 1)
        return waited >= self.patience
