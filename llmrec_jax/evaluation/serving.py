"""What serving costs: time to the first token and to the full list, memory, and the building of an index."""

import ctypes
import dataclasses
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax
import numpy as np
import psutil
from jaxtyping import Float

SAMPLING_SECONDS = 0.1


class PeakMemory:
    """Samples resident memory, because the kernel's own peak covers the whole life of the process.

        with PeakMemory() as peak:
            ...
        peak.megabytes, peak.grown_megabytes

    Attributes:
      megabytes: the largest resident memory that was seen.
    """

    def __enter__(self) -> 'PeakMemory':
        _give_back()
        self._process = psutil.Process()
        self._before = self.megabytes = self._read()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join()
        self.megabytes = max(self.megabytes, self._read())

    @property
    def grown_megabytes(self) -> float:
        """How far the largest exceeds what the process held at the start."""
        return self.megabytes - self._before

    def _read(self) -> float:
        return self._process.memory_info().rss / 2**20

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLING_SECONDS):
            self.megabytes = max(self.megabytes, self._read())


def _give_back() -> None:
    """Gives back to the system what was freed and kept for later (see `training/host_memory.py`)."""
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    if trim is not None:
        trim(0)


Built = TypeVar('Built')


@dataclasses.dataclass(frozen=True)
class Latency:
    """How long a request takes, over several.

    Attributes:
      median: seconds.
      p95: seconds that 95 % of the requests do not exceed.
      requests: how many were timed.
      users: how many users a request asks for.
    """

    median: float
    p95: float
    requests: int
    users: int

    @classmethod
    def of(cls, seconds: Float[np.ndarray, 'requests'], users: int) -> 'Latency':
        """From the seconds of each request.

        Raises:
          ValueError: when there are none.
        """
        if not len(seconds):
            raise ValueError('no request was timed')
        return cls(float(np.median(seconds)), float(np.quantile(seconds, 0.95)), len(seconds), users)

    def as_dict(self) -> dict[str, float | int]:
        """JSON-able."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Serving:
    """How long users wait for a system.

    Attributes:
      first_token: until the first token of an answer is there; None for systems that write no tokens.
      full_list: until the list is there.
    """

    first_token: Latency | None
    full_list: Latency

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        named = {'first_token': self.first_token, 'full_list': self.full_list}
        return {name: latency.as_dict() for name, latency in named.items() if latency is not None}


@dataclasses.dataclass(frozen=True)
class IndexCost:
    """What building an index took.

    Attributes:
      build_seconds: wall time.
      peak_memory_mb: by how much resident memory grew while it was built, at most; sampled, so that an index
        of a few megabytes may show none.
    """

    build_seconds: float
    peak_memory_mb: float

    def as_dict(self) -> Mapping[str, float]:
        """JSON-able."""
        return dataclasses.asdict(self)


def timed_requests(request: Callable[[int], Any], requests: int, users: int, warm_up: int = 1) -> Latency:
    """Times requests one after the other, each until its answer is in memory.

    Args:
      request: asks for the answer to the request of this number; numbers begin at 0 again after the warm-up.
      requests: how many are timed.
      users: how many users a request asks for.
      warm_up: requests before those that are timed, which compile what is compiled.
    """
    for number in range(warm_up):
        jax.block_until_ready(request(number))
    seconds = []
    for number in range(requests):
        started = time.perf_counter()
        jax.block_until_ready(request(number))
        seconds.append(time.perf_counter() - started)
    return Latency.of(np.asarray(seconds), users)


def built_index(build: Callable[[], Built]) -> tuple[Built, IndexCost]:
    """Builds an index, or anything else, and says what it took."""
    with PeakMemory() as peak:
        started = time.perf_counter()
        built = build()
        seconds = time.perf_counter() - started
    return built, IndexCost(seconds, max(peak.grown_megabytes, 0.0))
