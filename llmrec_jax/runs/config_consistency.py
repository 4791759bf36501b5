"""Whether all processes of a run were started alike."""

import argparse
import difflib
import hashlib
import pathlib

import jax

from llmrec_jax.training import processes
from llmrec_jax.version import __version__

PACKAGES = tuple(pathlib.Path(__file__).resolve().parents[2] / name for name in ('llmrec_jax', 'tasks'))
# What may differ between hosts: who a process is, and where its gin files lie.
OWN = ('coordinator_address', 'process_index', 'process_count', 'distributed', 'gin_file', 'gin_search_paths')


class DifferentStartError(ValueError):
    """Processes of one run that were started differently; the message says which and how."""


def describe(flags: argparse.Namespace, config: str) -> str:
    """What has to be the same on every host, a line each: versions, the library's code, flags, `config`."""
    code = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted(package.rglob('*.py')):
            code.update(path.relative_to(package).as_posix().encode() + path.read_bytes())
    lines = [
        f'llmrec_jax {__version__}, code {code.hexdigest()[:12]}',
        f'jax {jax.__version__}',
        *(f'--{name}={value}' for name, value in sorted(vars(flags).items()) if name not in OWN),
        *(line for line in config.splitlines() if line and not line.startswith('#')),
    ]
    return '\n'.join(lines)


def check(description: str) -> None:
    """Compares `description` over all processes of the run.

    Raises:
      DifferentStartError: on every process, when one differs from process 0; it names those and the first
        difference.
    """
    hashes = processes.from_all(hashlib.sha256(description.encode()).hexdigest())
    differing = [index for index, found in enumerate(hashes) if found != hashes[0]]
    if not differing:
        return
    expected = processes.from_first(lambda: description)
    differences = processes.from_all(_first_difference(expected, description))
    named = ', '.join(map(str, differing))
    raise DifferentStartError(
        f'process{"es" if len(differing) > 1 else ""} {named} started otherwise than process 0: '
        f'{differences[differing[0]]}; give every host the same gin files, flags and code'
    )


def _first_difference(expected: str, found: str) -> str:
    lines = (expected.splitlines(), found.splitlines())
    for kind, a, b, c, d in difflib.SequenceMatcher(None, *lines, autojunk=False).get_opcodes():
        if kind != 'equal':
            there, here = ' '.join(lines[0][a:b][:1]), ' '.join(lines[1][c:d][:1])
            return f'{there or "(nothing)"!r} there is {here or "(nothing)"!r} here'
    return ''
