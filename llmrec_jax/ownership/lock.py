"""A lock on a folder or a file that other machines may share.

It is a file with the record of its owner. A child process touches it as long as the owner lives, and removes
it when the owner dies. Where both die at once, an owner on this machine is known to be dead by its process,
and one elsewhere by its silence.
"""

import contextlib
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator

from llmrec_jax.ownership.gate import alone, found_at, remove
from llmrec_jax.ownership.owner import Owner

BEAT_SECONDS = 5.0
# So long without a beat, an owner elsewhere may be dead, and is waited for; so long, it is.
SILENT_SECONDS = 20.0
DEAD_SECONDS = 90.0
_ROOT = pathlib.Path(__file__).resolve().parents[2]
_BEAT = (
    'import sys; sys.path.insert(0, sys.argv[1]); '
    'from llmrec_jax.ownership import beat; beat.main(sys.argv[2:])'
)


class InUseError(RuntimeError):
    """A folder or file that another process works on; the message says who, and what to do."""


def in_folder(folder: str | os.PathLike) -> pathlib.Path:
    """Where the lock of a folder lies that is written to in place."""
    return pathlib.Path(os.path.abspath(folder)) / '.lock'


def beside(path: str | os.PathLike) -> pathlib.Path:
    """Where the lock of a file, or of a folder that is replaced whole, lies."""
    place = pathlib.Path(os.path.abspath(path))
    return place.with_name(f'.{place.name}.lock')


class Lock:
    """The right to write somewhere, from its construction until `release`."""

    def __init__(
        self,
        place: pathlib.Path,
        named: str | os.PathLike,
        program: str,
        *,
        takeover: bool = False,
        overriding: str | None = '--takeover',
    ):
        """Takes the lock, or says who has it without leaving a trace.

        Args:
          place: by `in_folder` or `beside`.
          named: what it is of, for messages.
          program: what this process does, for the others' messages.
          takeover: whether to take it from a living owner, which then ends.
          overriding: what a user gives to say so, for the message.

        Raises:
          InUseError: when another process has it.
          OSError: when the folder cannot be written.
        """
        self._place, self._named, self._overriding = place, named, overriding
        self._made = [folder for folder in place.parents if not folder.exists()]
        self._owner = Owner.this_process(program)
        found = found_at(place)
        if found is not None and not takeover and not found[0].is_gone:
            # Where the clocks of two machines agree well enough, this leaves not even a time behind.
            self._refuse(found[0], time.time() - found[1])
        try:
            previous = self._take(takeover)
        except OSError as error:
            if error.errno is None:
                raise
            raise OSError(
                error.errno, f'cannot be written: {os.strerror(error.errno)}', str(named)
            ) from error
        self._child = _start_beating(place, self._owner)
        if previous is not None:
            self._say(f'{named} is taken from {previous}, which ends within {BEAT_SECONDS:g} s if it lives')
            _await_end(previous)

    def release(self) -> None:
        """Lets others have it, and removes the folders that were made for it and are empty."""
        with contextlib.suppress(OSError):
            self._child.communicate(b'.')
        with contextlib.suppress(OSError):
            remove(self._place, self._owner.token)
            for folder in self._made:
                folder.rmdir()

    def _take(self, takeover: bool) -> Owner | None:
        """Becomes the owner; returns the living one that it took the lock from."""
        waited = False
        while True:
            with alone(self._place, self._owner) as claim:
                found = found_at(self._place)
                if found is not None:
                    # Both times are the file system's, whatever the machines' clocks say.
                    silent = claim.stat().st_mtime - found[1]
                    dead = found[0].is_gone or (not found[0].is_here and silent > DEAD_SECONDS)
                if found is None or dead or takeover:
                    os.replace(claim, self._place)
                    return None if found is None or dead else found[0]
            self._refuse(found[0], silent)
            if not waited:
                self._say(
                    f'{self._named} was in use by {found[0]}, not heard of for {silent:.0f} s: waiting for '
                    f'{DEAD_SECONDS - silent:.0f} s whether it lives'
                )
                waited = True
            time.sleep(1.0)

    def _refuse(self, owner: Owner, silent: float) -> None:
        ways = ['wait for it', f'end it (kill {owner.pid})' if owner.is_here else 'end it there']
        ways += ['name another place']
        if self._overriding:
            ways += [f'or take it over with {self._overriding}, which ends that process']
        if owner.is_here:
            raise InUseError(
                f'{self._named} is in use by {owner} '
                f'({"this process itself" if owner.pid == os.getpid() else "this machine"}): '
                f'{", ".join(ways)}. Once it has ended, however it ends, the same command goes on'
            )
        if silent <= SILENT_SECONDS:
            raise InUseError(
                f'{self._named} is in use by {owner}, heard of {max(silent, 0):.0f} s ago: '
                f'{", ".join(ways)}. If it is dead, the same command goes on by itself '
                f'{DEAD_SECONDS:.0f} s after it was last heard of'
            )

    def _say(self, message: str) -> None:
        print(f'{self._owner.program}: {message}', file=sys.stderr, flush=True)


@contextlib.contextmanager
def locked(place: pathlib.Path, named: str | os.PathLike, program: str, **how) -> Iterator[None]:
    """Holds a `Lock` meanwhile; arguments as there."""
    lock = Lock(place, named, program, **how)
    try:
        yield
    finally:
        lock.release()


def _start_beating(place: pathlib.Path, owner: Owner) -> subprocess.Popen:
    # Apart from this process, because a computation may keep all of its threads waiting for minutes; in its
    # group, so that whoever kills the group ends both.
    arguments = [str(_ROOT), str(place), owner.token, str(owner.pid), str(BEAT_SECONDS)]
    return subprocess.Popen(
        [sys.executable, '-I', '-S', '-c', _BEAT, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )


def _await_end(owner: Owner) -> None:
    """Waits until an owner that lost its lock has noticed."""
    deadline = time.monotonic() + 2 * BEAT_SECONDS
    while not owner.is_gone and time.monotonic() < deadline:
        time.sleep(0.1)
