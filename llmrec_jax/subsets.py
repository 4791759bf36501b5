"""Which rows are taken where not all are."""

import numpy as np
from jaxtyping import Int


def draw_rows(rows: int, most: int | None, seed: int | tuple[int, ...]) -> Int[np.ndarray, 'drawn']:
    """At most `most` of the rows, drawn by `seed` without replacement, ascending.

    Of one seed, a larger draw holds a smaller one.

    Args:
      rows: how many there are.
      most: how many are wanted; None for all.
      seed: of the draw.
    """
    if most is None or most >= rows:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).permutation(rows)[:most])
