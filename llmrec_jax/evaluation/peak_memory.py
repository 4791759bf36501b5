"""How much memory the process holds while something is done."""

import ctypes
import threading

import psutil

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
