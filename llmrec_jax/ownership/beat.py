"""The child process that keeps a lock alive as long as its owner lives, and not longer."""

import os
import pathlib
import select
import signal
import sys
from collections.abc import Sequence

from llmrec_jax.ownership.gate import found_at, remove


def main(arguments: Sequence[str]) -> None:
    """Beats until the owner lets go, dies, or has lost the lock.

    Args:
      arguments: the lock's place, the owner's token, its process's number, and seconds between two beats.
    """
    place, token, owner = pathlib.Path(arguments[0]), arguments[1], int(arguments[2])
    # Whoever asks the owner to end may take long to be heard.
    for name in ('SIGINT', 'SIGTERM', 'SIGHUP'):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    while True:
        readable, _, _ = select.select([sys.stdin], [], [], float(arguments[3]))
        if readable and os.read(sys.stdin.fileno(), 1):
            return
        if readable or os.getppid() != owner:
            remove(place, token)
            return
        try:
            found = found_at(place)
            if found is not None and found[0].token != token:
                _end(owner, place, str(found[0]))
                return
            if found is not None:
                os.utime(place)
        except OSError:
            # A file system that does not answer now may at the next beat.
            continue


def _end(owner: int, place: pathlib.Path, by: str) -> None:
    """Ends the owner at once, because both would write into one another's files."""
    print(f'{place} was taken over by {by}; process {owner} ends here', file=sys.stderr, flush=True)
    if os.getppid() == owner:
        os.kill(owner, signal.SIGKILL)
