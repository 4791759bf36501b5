"""What the processes of a run tell one another through JAX's coordination service.

Collectives need every device at once and give up when one process is busy for long; these waits do not. A
process that ends with an error says so here, so that the others end with its message and not in a collective
that never comes back. Every process must make the same calls in the same order.
"""

import contextlib
import itertools
import json
import os
import pathlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import jax

T = TypeVar('T')
FAILED = 'llmrec_jax/failed'
POLL_SECONDS = 2.0
FAREWELL_SECONDS = 15.0
# Network file systems show a new file to other machines only after a while.
VISIBLE_SECONDS = 60.0
_calls = itertools.count()


class ProcessError(RuntimeError):
    """Another process of the run has ended, or this one does not fit it; the message says which and why."""


def count() -> int:
    """Processes in the run."""
    return jax.process_count() if jax.distributed.is_initialized() else 1


def index() -> int:
    """This process, from 0."""
    return jax.process_index() if jax.distributed.is_initialized() else 0


def is_first() -> bool:
    """Whether this is the process that writes the run's files."""
    return index() == 0


def from_first(make: Callable[[], T]) -> T:
    """What `make` returns on process 0, which alone calls it; the others wait as long as it takes.

    Args:
      make: its result must be JSON, and comes as JSON gives it back: tuples as lists.

    Raises:
      ProcessError: when another process ends meanwhile.
    """
    if count() == 1:
        return make()
    key = f'llmrec_jax/{next(_calls)}'
    if is_first():
        made = make()
        _client().key_value_set(key, json.dumps(made))
        return made
    return json.loads(wait_for(key))


def from_all(value: Any) -> list[Any]:
    """The values of all processes in their order; JSON, as in `from_first`.

    Raises:
      ProcessError: when another process ends meanwhile.
    """
    if count() == 1:
        return [value]
    key = f'llmrec_jax/{next(_calls)}'
    _client().key_value_set(f'{key}/{index()}', json.dumps(value))
    # Process 0 collects, so that the messages grow with the processes and not with their square.
    if is_first():
        values = [json.loads(wait_for(f'{key}/{other}')) for other in range(count())]
        _client().key_value_set(f'{key}/all', json.dumps(values))
        return values
    return json.loads(wait_for(f'{key}/all'))


def check_visible(path: str | os.PathLike) -> None:
    """Waits until this process sees a file that process 0 wrote.

    Raises:
      ProcessError: when it does not appear.
    """
    deadline = time.monotonic() + VISIBLE_SECONDS
    # Listing the folder makes a network file system look again.
    path = pathlib.Path(path)
    while not (path.exists() or (path.parent.is_dir() and path.name in os.listdir(path.parent))):
        if time.monotonic() > deadline:
            raise ProcessError(
                f'process {index()} does not see {path.absolute()}, which process 0 wrote: the workdir must '
                'lie on a file system that all hosts share, under the same path'
            )
        time.sleep(0.5)


def wait_for(key: str) -> str:
    """The value of `key` as soon as some process sets it.

    Raises:
      ProcessError: when another process ends meanwhile.
    """
    while True:
        try:
            return _client().blocking_key_value_get(key, int(POLL_SECONDS * 1000))
        except jax.errors.JaxRuntimeError as error:
            if 'DEADLINE_EXCEEDED' not in str(error):
                raise ProcessError(f'process 0 can no longer be reached ({first_line(error)})') from error
        raise_if_another_failed()


def raise_if_another_failed() -> None:
    """Raises what another process said before it ended.

    Raises:
      ProcessError: with its number and message.
    """
    for key, message in sorted(_client().key_value_dir_get(f'{FAILED}/')):
        other = int(key.rpartition('/')[2])
        if other != index():
            raise ProcessError(f'process {other} ended: {message}')


def tell_failure(message: str) -> None:
    """Tells the others that this process ends with an error, and on process 0 lets them hear it.

    Process 0 hosts the coordination service, and whoever is connected when it goes is aborted by JAX.
    """
    if count() == 1:
        return
    client = _client()
    try:
        client.key_value_set(f'{FAILED}/{index()}', message, allow_overwrite=True)
        deadline = time.monotonic() + FAREWELL_SECONDS
        while is_first() and time.monotonic() < deadline:
            if len(client.key_value_dir_get(f'{FAILED}/')) == count():
                return
            time.sleep(0.2)
    except jax.errors.JaxRuntimeError:
        # The service is gone, and with it whoever could have heard.
        return


@contextlib.contextmanager
def watched(on_failure: Callable[[str], None]) -> Iterator[None]:
    """Meanwhile, calls `on_failure` in a thread of its own with what another process said before it ended."""
    done = threading.Event()

    def look() -> None:
        while not done.wait(POLL_SECONDS):
            try:
                raise_if_another_failed()
            except ProcessError as error:
                on_failure(str(error))
                return
            except jax.errors.JaxRuntimeError:
                return

    threading.Thread(target=look, name='watch', daemon=True).start()
    try:
        yield
    finally:
        done.set()


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type's name."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _client() -> Any:
    # JAX has no public name for it; Orbax takes it from here as well.
    from jax._src import distributed

    return distributed.global_state.client
