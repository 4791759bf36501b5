"""Batches made in the background, one step ahead of the device."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar('T')


class Prefetch(Generic[T]):
    """Yields `make(first), make(first + 1), ... make(last - 1)`, made by another thread up to `depth` ahead.

    Since `make` depends on the step alone, being ahead changes nothing but the waiting.
    """

    def __init__(self, make: Callable[[int], T], first: int, last: int, depth: int = 2):
        """Starts making the first `depth` at once."""
        self._make, self._next, self._last = make, first, last
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix='prefetch')
        self._pending: deque[Future[T]] = deque()
        for _ in range(depth):
            self._submit()

    def __iter__(self) -> 'Prefetch[T]':
        return self

    def __next__(self) -> T:
        if not self._pending:
            raise StopIteration
        made = self._pending.popleft().result()
        self._submit()
        return made

    def close(self) -> None:
        """Stops the thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self) -> None:
        if self._next < self._last:
            self._pending.append(self._pool.submit(self._make, self._next))
            self._next += 1
