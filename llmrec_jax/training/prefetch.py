"""Batches made in the background, ahead of the device."""

from collections.abc import Callable
from typing import Any, TypeVar

import grain

T = TypeVar('T')
AHEAD = 2


def prefetched(make: Callable[[int], T], first: int, last: int) -> Any:
    """Yields `make(first), make(first + 1), ... make(last - 1)`, made by another thread up to `AHEAD` early.

    Since `make` depends on the step alone, being ahead changes nothing but the waiting. It is an iterator of
    Grain's; close it to stop the thread.
    """
    steps = grain.MapDataset.range(first, last).map(make)
    return iter(steps.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=AHEAD)))
