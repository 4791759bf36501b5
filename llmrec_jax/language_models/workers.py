"""Threads that ask for several texts at once."""

import itertools
import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from llmrec_jax.language_models.pace import StoppedError

LOG = logging.getLogger(__name__)


def results(
    ask: Callable[[Any], Any], inputs: Sequence[Any], workers: int, stop: threading.Event
) -> Iterator[tuple[int, Any]]:
    """(place of the input, `ask` of it), as they come.

    On an interrupt (Ctrl-C), and when `ask` raises, no more inputs are begun, and the results under way,
    which may have been paid for, are still given before the exception is. A second interrupt drops them.

    Args:
      ask: called by many threads; may raise `StoppedError` once `stop` is set.
      inputs: what it is called with, in this order.
      workers: threads.
      stop: is set when no more inputs are to be begun.
    """
    tasks = iter(enumerate(inputs))
    taking = threading.Lock()
    done: queue.SimpleQueue = queue.SimpleQueue()

    def work() -> None:
        while True:
            with taking:
                task = None if stop.is_set() else next(tasks, None)
            if task is None:
                done.put(None)
                return
            index, given = task
            try:
                done.put((index, ask(given), None))
            except StoppedError:
                continue
            except BaseException as error:
                stop.set()
                done.put((index, None, error))

    # A thread that waits for a server must not keep the process alive.
    threads = [threading.Thread(target=work, daemon=True) for _ in itertools.islice(inputs, workers)]
    for thread in threads:
        thread.start()
    working, raised = len(threads), None
    try:
        while working:
            try:
                found = done.get()
            except KeyboardInterrupt as interrupt:
                if raised is not None:
                    raise
                LOG.warning('stopping when what is under way has come; interrupt again to drop it')
                raised = interrupt
                stop.set()
                continue
            if found is None:
                working -= 1
                continue
            index, result, error = found
            if error is None:
                yield index, result
            else:
                raised = raised or error
    finally:
        stop.set()
    if raised is not None:
        raise raised
