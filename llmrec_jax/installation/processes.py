"""Python code run in a process of its own, because an import may end the process or never return."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Mapping

TIMEOUT_SECONDS = 300


@dataclasses.dataclass(frozen=True)
class ProgramOutput:
    """What the code printed, or why it failed.

    Attributes:
      output: the last line that it printed.
      error: the last line of the error, or the signal or time limit that ended it; None where it succeeded.
    """

    output: str
    error: str | None


def run_python(code: str, environment: Mapping[str, str]) -> ProgramOutput:
    """Runs `code` in this interpreter's kind of process, with `environment` added to the own one."""
    flags = ['-S'] if sys.flags.no_site else []
    try:
        run = subprocess.run(
            [sys.executable, *flags, '-c', code],
            env={**os.environ, **environment},
            capture_output=True,
            encoding='utf-8',
            errors='replace',
            timeout=TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return ProgramOutput('', f'no end after {TIMEOUT_SECONDS} s')
    output = (run.stdout.strip().splitlines() or [''])[-1]
    if run.returncode == 0:
        return ProgramOutput(output, None)
    if run.returncode < 0:
        return ProgramOutput(output, f'killed by signal {-run.returncode}')
    return ProgramOutput(output, (run.stderr.strip().splitlines() or ['no message'])[-1])
