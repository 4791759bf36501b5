"""What an epoch takes and costs at a plan's speed."""

import dataclasses

HOUR = 3600


@dataclasses.dataclass(frozen=True)
class Price:
    """What is trained and what is paid.

    Attributes:
      per_chip_hour: in any currency.
      examples: of an epoch.
    """

    per_chip_hour: float
    examples: int

    def __post_init__(self):
        if self.per_chip_hour < 0 or self.examples < 1:
            raise ValueError(
                f'--price_per_chip_hour={self.per_chip_hour} must not be negative and '
                f'--examples={self.examples} must be at least 1'
            )

    def epoch_hours(self, examples_per_second: float) -> float:
        """Hours of an epoch."""
        return self.examples / examples_per_second / HOUR

    def epoch_cost(self, examples_per_second: float, chips: int) -> float:
        """Cost of an epoch on so many chips."""
        return self.epoch_hours(examples_per_second) * chips * self.per_chip_hour
