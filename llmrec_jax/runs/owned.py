"""What a launcher works on is its own, from before it imports what takes seconds until it ends.

Of a run of many processes the first one owns it for all, once they have found one another (`command_line`).
"""

import argparse
import atexit
import contextlib
import os
import pathlib
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from llmrec_jax.ownership.lock import InUseError, beside, in_folder, locked
from llmrec_jax.runs.gin_text import text_of

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
STANDARD = '-'
# Locks that this process holds: who asks again within the same work has it already.
_held: set[str] = set()


@contextlib.contextmanager
def owning_workdir(program: str, arguments: Sequence[str] | None = None) -> Iterator[None]:
    """Meanwhile owns the workdir that the command line names, as far as that can be told without gin.

    Args:
      program: the launcher.
      arguments: instead of the command line's.

    Raises:
      SystemExit: with one message on standard error, when another process works there.
    """
    flags = _flags(arguments)
    workdir = None if flags is None else _workdir(flags)
    lock = None if workdir is None or '://' in workdir else in_folder(workdir)
    with _or_message(lock, workdir, program, flags):
        yield


@contextlib.contextmanager
def owning_output(program: str, arguments: Sequence[str] | None = None) -> Iterator[None]:
    """`owning_workdir` for the file or folder that `--output` names; standard output is nobody's."""
    flags = _flags(arguments)
    output = None if flags is None or flags.output == STANDARD else flags.output
    lock = None if output is None or '://' in output else beside(output)
    with _or_message(lock, output, program, flags):
        yield


@contextlib.contextmanager
def owning(
    lock: pathlib.Path,
    named: str | os.PathLike,
    program: str,
    *,
    takeover: bool = False,
    overriding: str = '--takeover',
) -> Iterator[None]:
    """Meanwhile holds a lock, unless this process does already.

    Args:
      lock: by `ownership.lock.in_folder` or `beside`.
      named: what it is of.
      program: the launcher.
      takeover: whether to take it from a living process.
      overriding: what says so on the command line.

    Raises:
      InUseError: when another process holds it.
      OSError: when the folder cannot be written.
    """
    key = os.path.realpath(lock)
    if key in _held:
        yield
        return
    with locked(lock, named, program, takeover=takeover, overriding=overriding):
        _held.add(key)
        try:
            yield
        finally:
            _held.discard(key)


def own_until_exit(lock: pathlib.Path, named: str | os.PathLike, program: str, **how: Any) -> None:
    """`owning` until this process ends, for work that another program directs."""
    stack = contextlib.ExitStack()
    stack.enter_context(owning(lock, named, program, **how))
    atexit.register(stack.close)


@contextlib.contextmanager
def _or_message(
    lock: pathlib.Path | None, named: str | None, program: str, flags: argparse.Namespace | None
) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        if lock is not None:
            try:
                stack.enter_context(owning(lock, named, program, takeover=flags.takeover))
            except (InUseError, OSError) as error:
                print(f'{program}: {error}', file=sys.stderr)
                raise SystemExit(1) from error
        yield


def _flags(arguments: Sequence[str] | None) -> argparse.Namespace | None:
    """What the command line says of where it works; None where it asks for help or names many processes.

    The launcher's own parser, which says what is wrong with a flag, comes later.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    add = parser.add_argument
    for name in ('--help', '-h', '--takeover', '--distributed'):
        add(name, action='store_true')
    add('--gin_file', action='append', default=[])
    add('--gin_search_paths', default='')
    for name in ('--output', '--coordinator_address', '--process_count', '--process_index'):
        add(name)
    given = sys.argv[1:] if arguments is None else arguments
    bindings = [argument for argument in given if argument.startswith('--gin.')]
    try:
        flags, _ = parser.parse_known_args([one for one in given if not one.startswith('--gin.')])
    except (argparse.ArgumentError, SystemExit):
        return None
    many = (flags.distributed, flags.coordinator_address, flags.process_count, flags.process_index)
    if flags.help or flags.h or any(many):
        return None
    flags.workdirs = [one.partition('=')[2] for one in bindings if one.startswith('--gin.WORKDIR=')]
    return flags


def _workdir(flags: argparse.Namespace) -> str | None:
    """The last WORKDIR of the bindings, or of the gin files that say one themselves."""
    if flags.workdirs:
        return text_of(flags.workdirs[-1]) or None
    folders = [*filter(None, flags.gin_search_paths.split(',')), '.', REPOSITORY]
    for file in reversed(flags.gin_file):
        path = next((path for folder in folders if (path := pathlib.Path(folder) / file).is_file()), None)
        content = '' if path is None else path.read_bytes().decode(errors='replace')
        said = re.findall(r"""^WORKDIR *= *(["'].*)$""", content, re.MULTILINE)
        if said:
            return text_of(said[-1]) or None
    return None
