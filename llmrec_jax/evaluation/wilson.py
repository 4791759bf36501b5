"""Wilson's interval of a share, which is honest for few cases and for shares near 0 and 1."""

import math


def wilson_interval(found: int, cases: int, z: float = 1.959964) -> tuple[float, float]:
    """The ends of the score interval (Wilson, 1927).

    Args:
      found: how many of the cases.
      cases: how many there are.
      z: quantile of the normal distribution; the default is that of 95 %.

    Raises:
      ValueError: when there are no cases, or more are found than there are.
    """
    if not 0 <= found <= cases or cases < 1:
        raise ValueError(f'{found} of {cases} cases are no share')
    share, square = found / cases, z * z / cases
    middle = share + square / 2
    reach = z * math.sqrt(share * (1 - share) / cases + square / (4 * cases))
    return max(0.0, (middle - reach) / (1 + square)), min(1.0, (middle + reach) / (1 + square))
