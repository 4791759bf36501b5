"""How a process of a run of many ends, and what it says, even where JAX or a signal ends it.

JAX ends the survivors of a dead process with a C++ abort, which no Python code outlives. So a small child
process waits at a pipe and speaks when its parent is gone without having finished.
"""

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator

import jax

from llmrec_jax.training import processes

RESTART = 'start all processes again, and the run goes on from its newest checkpoint'
INTERRUPTED = 'interrupted; the same command goes on with the first stage that is not done'
# What shells give a program that Ctrl-C ended.
INTERRUPTED_STATUS = 130
_MENDED = f'when that is mended, {RESTART}'
_ABANDONED = (
    'process {index} of {count} ended without finishing: it was killed, or JAX ended it because another '
    f'process is gone; see what the others said last, and {RESTART}'
)
_SPEAKER = """
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
if not sys.stdin.buffer.read():
    print(sys.argv[1], file=sys.stderr)
"""
_ends = threading.Lock()


class LastWords:
    """A message that appears on standard error when this process ends before `take_back` is called."""

    def __init__(self, message: str):
        """Starts the child process that waits."""
        # In this process's group, so that whoever kills the group on purpose silences both.
        self._child = subprocess.Popen(
            [sys.executable, '-I', '-S', '-c', _SPEAKER, message], stdin=subprocess.PIPE
        )

    def take_back(self) -> None:
        """Ends the child process without a word."""
        with contextlib.suppress(OSError):
            self._child.communicate(b'.')


@contextlib.contextmanager
def errors_as_messages(program: str) -> Iterator[None]:
    """The whole work of a process of a run: what `guarded` does, and the end that all reach together.

    Args:
      program: whose messages they are.

    Raises:
      SystemExit: see `guarded`.
    """
    with guarded(program):
        yield
        if processes.count() > 1:
            # Process 0 hosts what the others are connected to.
            processes.from_all(None)
            jax.distributed.shutdown()


@contextlib.contextmanager
def guarded(program: str, code: int = 1) -> Iterator[None]:
    """Makes an error or Ctrl-C a message, and lets the other processes of the run end with it.

    An error raised for the user to read (ValueError, OSError, RuntimeError) becomes a message alone; with
    LLMREC_JAX_TRACEBACK set, the traceback comes too.

    Args:
      program: whose message it is.
      code: the exit status then.

    Raises:
      SystemExit: in the place of the error, where this process is the only one; one of many ends at once,
        because JAX would make it wait for the others.
    """
    if processes.count() == 1:
        with _as_messages(program, code):
            yield
        return
    words = LastWords(f'{program}: {_ABANDONED.format(index=processes.index(), count=processes.count())}')
    try:
        with processes.watched(lambda message: _leave(program, f'{message}; {_MENDED}', words)):
            yield
    except BaseException as error:
        if os.environ.get('LLMREC_JAX_TRACEBACK') or not isinstance(
            error, ValueError | OSError | RuntimeError
        ):
            traceback.print_exc()
        _leave(program, _explain(error), words, code)
    words.take_back()


@contextlib.contextmanager
def _as_messages(program: str, code: int) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if os.environ.get('LLMREC_JAX_TRACEBACK'):
            raise
        print(f'{program}: {interrupt or INTERRUPTED}', file=sys.stderr)
        raise SystemExit(INTERRUPTED_STATUS) from interrupt
    except (ValueError, OSError, RuntimeError) as error:
        if os.environ.get('LLMREC_JAX_TRACEBACK'):
            raise
        print(f'{program}: {error}', file=sys.stderr)
        raise SystemExit(code) from error


def _leave(program: str, message: str, words: LastWords, code: int = 1) -> None:
    """Says why, tells the others, and ends this process without the barrier at JAX's end."""
    # The thread that comes second waits here until the first has ended the process.
    with _ends:
        print(f'{program} (process {processes.index()} of {processes.count()}): {message}', file=sys.stderr)
        processes.tell_failure(message)
        words.take_back()
        sys.stdout.flush()
        sys.stderr.flush()
        logging.shutdown()
        os._exit(code)


def _explain(error: BaseException) -> str:
    """The error's message; of one that a lost connection caused, what the lost process said."""
    if isinstance(error, processes.ProcessError):
        return f'{error}; {_MENDED}'
    lost = isinstance(error, jax.errors.JaxRuntimeError) or 'Gloo' in str(error)
    if not lost:
        return str(error) or type(error).__name__
    deadline = time.monotonic() + 2 * processes.POLL_SECONDS
    while time.monotonic() < deadline:
        try:
            processes.raise_if_another_failed()
        except processes.ProcessError as heard:
            return f'{heard}; {_MENDED}'
        except jax.errors.JaxRuntimeError:
            break
        time.sleep(0.2)
    return f'another process is gone ({processes.first_line(error)}); {RESTART}'
