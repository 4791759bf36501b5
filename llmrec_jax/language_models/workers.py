"""Threads that ask for several texts at once, so many a minute, and none while the server asks to wait."""

import contextlib
import itertools
import logging
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any


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


LOG = logging.getLogger(__name__)


def results(
    ask: Callable[[Any], Any], inputs: Sequence[Any], workers: int, stop: threading.Event
) -> Iterator[tuple[int, Any]]:
    """(place of the input, `ask` of it), as they come.

    On an interrupt (Ctrl-C), and when `ask` raises, no more inputs are begun, and the results under way,
    which may have been paid for, are still given before the exception is. A second interrupt drops them.

    At most `workers` inputs are begun whose results the caller is not yet done with: so many are lost with a
    process that is killed, however slowly the caller stores them.

    Args:
      ask: called by many threads; may raise `StoppedError` once `stop` is set.
      inputs: what it is called with, in this order.
      workers: threads.
      stop: is set when no more inputs are to be begun.
    """
    tasks = iter(enumerate(inputs))
    taking = threading.Lock()
    done: queue.SimpleQueue = queue.SimpleQueue()
    unfinished = threading.Semaphore(workers)

    def work() -> None:
        while True:
            unfinished.acquire()
            with taking:
                task = None if stop.is_set() else next(tasks, None)
            if task is None:
                unfinished.release()
                done.put(None)
                return
            index, given = task
            try:
                done.put((index, ask(given), None))
            except StoppedError:
                unfinished.release()
            except BaseException as error:
                stop.set()
                done.put((index, None, error))

    # A thread that waits for a server must not keep the process alive.
    threads = [threading.Thread(target=work, daemon=True) for _ in itertools.islice(inputs, workers)]
    for thread in threads:
        thread.start()
    working, raised = len(threads), None
    try:
        with _stopped_by_interrupt(stop):
            while working:
                found = done.get()
                if found is None:
                    working -= 1
                    continue
                index, result, error = found
                if error is None:
                    yield index, result
                else:
                    raised = raised or error
                unfinished.release()
            if raised is not None:
                raise raised
    finally:
        stop.set()
        # Wakes the threads that wait for a caller that has gone.
        unfinished.release(workers)


@contextlib.contextmanager
def _stopped_by_interrupt(stop: threading.Event) -> Iterator[None]:
    """The first interrupt sets `stop`, wherever it meets the caller, and is raised when the block ends.

    Only in the main thread, which alone is interrupted, and where nobody else handles interrupts.
    """
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return
    interrupted = False

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        if interrupted:
            signal.default_int_handler(number, frame)
        LOG.warning('stopping when what is under way has come; interrupt again to drop it')
        interrupted = True
        stop.set()

    signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if interrupted:
            raise KeyboardInterrupt
