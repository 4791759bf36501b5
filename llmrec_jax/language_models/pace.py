"""When requests may start: so many a minute, and none while the server asks to wait."""

import threading
import time


class StoppedError(Exception):
    """What waits is not to go on."""


class Pace:
    """Shared by all threads that ask one server."""

    def __init__(self, requests_per_minute: float | None, stop: threading.Event):
        """Starts with no request made.

        Args:
          requests_per_minute: how many may start, evenly spaced; None for no bound.
          stop: ends all waiting.
        """
        self._spacing = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._stop = stop
        self._lock = threading.Lock()
        self._next = time.monotonic()

    def wait(self) -> None:
        """Returns when a request may start.

        Raises:
          StoppedError: when it need not start any more.
        """
        while not self._stop.is_set():
            with self._lock:
                now = time.monotonic()
                if now >= self._next:
                    self._next = now + self._spacing
                    return
                remaining = self._next - now
            self._stop.wait(remaining)
        raise StoppedError

    def hold(self, seconds: float) -> None:
        """Lets no request start for `seconds` from now on."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def pause(self, seconds: float) -> None:
        """Keeps the calling thread alone waiting.

        Raises:
          StoppedError: as `wait`.
        """
        if self._stop.wait(seconds):
            raise StoppedError
