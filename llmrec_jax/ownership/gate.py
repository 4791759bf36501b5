"""What keeps two processes, on whichever machines, from changing one lock at the same time."""

import contextlib
import os
import pathlib
import time
from collections.abc import Iterator

from llmrec_jax.ownership.owner import Owner

# A gate is held for milliseconds: one that is this old was left by a process that was killed meanwhile.
ABANDONED_SECONDS = 10.0
_PAUSE_SECONDS = 0.02


@contextlib.contextmanager
def alone(lock: pathlib.Path, owner: Owner) -> Iterator[pathlib.Path]:
    """Meanwhile no other process changes `lock`.

    The gate is a second name of a file that holds the whole record already: a link appears at once or not at
    all on network file systems too.

    Args:
      lock: the lock's place; folders above it are made.
      owner: who asks.

    Yields:
      A file beside `lock` that holds the owner's record, to be renamed to it.

    Raises:
      OSError: when the folder cannot be written.
    """
    claim = lock.with_name(f'{lock.name}.{owner.token}')
    gate = lock.with_name(f'{lock.name}.gate')
    try:
        while not _entered(claim, gate, owner):
            time.sleep(_PAUSE_SECONDS)
        try:
            yield claim
        finally:
            gate.unlink(missing_ok=True)
    finally:
        claim.unlink(missing_ok=True)


def found_at(place: pathlib.Path) -> tuple[Owner, float] | None:
    """Who holds the lock at `place`, and when it last gave a sign of life; None where nobody does.

    Opening the file makes a network file system ask for its newest time.
    """
    try:
        with place.open('rb') as file:
            touched = os.fstat(file.fileno()).st_mtime
            return Owner.parse(file.read(), touched), touched
    except (FileNotFoundError, NotADirectoryError):
        return None


def remove(place: pathlib.Path, token: str) -> None:
    """Removes a lock unless another has taken it."""
    with alone(place, Owner.this_process('release')):
        found = found_at(place)
        if found is not None and found[0].token == token:
            place.unlink(missing_ok=True)


def _entered(claim: pathlib.Path, gate: pathlib.Path, owner: Owner) -> bool:
    try:
        # Written anew, because its time is the file system's own clock.
        claim.write_bytes(owner.content())
        _link(claim, gate)
        return True
    except FileNotFoundError:
        # Also where another run has just removed the folder that it had made.
        claim.parent.mkdir(parents=True, exist_ok=True)
        return False
    except FileExistsError:
        holder = found_at(gate)
    if holder is None:
        return False
    if holder[0].token == owner.token:
        # A server that did not hear our acknowledgment was asked twice.
        return True
    if holder[0].is_gone or claim.stat().st_mtime - holder[1] > ABANDONED_SECONDS:
        gate.unlink(missing_ok=True)
    return False


def _link(claim: pathlib.Path, gate: pathlib.Path) -> None:
    try:
        os.link(claim, gate)
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError:
        # A file system without links, such as a mounted bucket.
        with open(gate, 'xb') as file:
            file.write(claim.read_bytes())
