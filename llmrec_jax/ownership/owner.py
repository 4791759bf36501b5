"""Who holds a lock: a process, told from every other on every machine and after every restart."""

import dataclasses
import json
import os
import pathlib
import time

_PROC = pathlib.Path('/proc')
# States of a process that has ended and that its parent has not asked about yet.
_ENDED = ('Z', 'X')


@dataclasses.dataclass(frozen=True)
class Owner:
    """A process that holds, or held, a lock.

    Attributes:
      token: tells this holding of a lock from every other.
      program: what the process does.
      host: its machine's name, for people.
      machine: what tells its machine, since its last start and as far as processes see one another.
      pid: its number there.
      started: when it started, on the machine's own clock; '' where the machine does not tell.
      since: seconds since 1970 at which it took the lock.
    """

    token: str
    program: str
    host: str
    machine: str
    pid: int
    started: str
    since: float

    @classmethod
    def this_process(cls, program: str) -> 'Owner':
        """A new holding of a lock by this process."""
        pid = os.getpid()
        started = (_state(pid) or ('', ''))[1]
        return cls(os.urandom(16).hex(), program, os.uname().nodename, machine(), pid, started, time.time())

    @classmethod
    def parse(cls, content: bytes, written: float) -> 'Owner':
        """What a lock says; of one that says nothing readable, no more than when it was `written`."""
        try:
            return cls(**json.loads(content))
        except (ValueError, TypeError):
            return cls('', 'a process', 'an unknown machine', '', 0, '', written)

    def content(self) -> bytes:
        """What `parse` reads."""
        return json.dumps(dataclasses.asdict(self)).encode()

    @property
    def is_here(self) -> bool:
        """Whether it runs, or ran, where this process would see it."""
        return self.machine == machine()

    @property
    def is_gone(self) -> bool:
        """Whether it is known to have ended; of a process elsewhere that is never known."""
        return self.is_here and _has_ended(self.pid, self.started)

    def __str__(self) -> str:
        since = time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(self.since))
        return f'{self.program}, process {self.pid} on {self.host}, since {since}'


def machine() -> str:
    """Tells this machine since its last start, and of its containers the one that this process sees into."""
    try:
        booted = (_PROC / 'sys/kernel/random/boot_id').read_text(encoding='ascii').strip()
        return f'{booted} {os.readlink(_PROC / "self/ns/pid")}'
    except OSError:
        return os.uname().nodename


def _has_ended(pid: int, started: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        # Another user's.
        pass
    found = _state(pid)
    return found is not None and (found[0] in _ENDED or found[1] != started)


def _state(pid: int) -> tuple[str, str] | None:
    """A process's state and when it started (proc(5), fields 3 and 22 of stat); None where it is not told."""
    try:
        stat = (_PROC / str(pid) / 'stat').read_text(encoding='utf-8', errors='replace')
    except OSError:
        return None
    # The name before may hold blanks and brackets.
    fields = stat.rpartition(')')[2].split()
    return fields[0], fields[19]
