"""One thing that was looked at in an installation."""

from __future__ import annotations

import dataclasses
import enum


class Verdict(enum.Enum):
    """How much a finding matters."""

    GOOD = 'ok'
    NOTE = 'note'
    ABSENT = 'not there, not needed'
    FAULT = 'FAULT'


@dataclasses.dataclass(frozen=True)
class Finding:
    """What was found of one part, and what to do about it.

    Attributes:
      part: what was looked at.
      found: what is there, in a few words.
      wanted: what should be there.
      verdict: whether that will do.
      mend: a command, or a sentence where no command does it; empty where nothing needs mending.
    """

    part: str
    found: str
    wanted: str
    verdict: Verdict
    mend: str = ''


def missing(part: str, wanted: str, mend: str, required: bool) -> Finding:
    """The finding of a part that is not there: a fault only where it is required."""
    verdict = Verdict.FAULT if required else Verdict.ABSENT
    return Finding(part, 'not installed', wanted, verdict, mend if required else '')


# Of an error's text, which stands in full below the table.
WIDEST = 40


def table(findings: list[Finding]) -> str:
    """The findings as lines of text, and below them what mends those that need it."""
    rows = [('part', 'found', 'wanted', '')]
    rows += [(one.part, _shortened(one.found), one.wanted, one.verdict.value) for one in findings]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ['  '.join((*(cell.ljust(width) for cell, width in zip(row, widths)), row[3])) for row in rows]
    lines.insert(1, '  '.join('-' * width for width in widths))
    lengthy = [f'  {one.part}: {one.found}' for one in findings if _shortened(one.found) != one.found]
    if lengthy:
        lines += ['', 'In full:', *lengthy]
    mends = dict.fromkeys(one.mend for one in findings if one.mend)
    if mends:
        lines += ['', 'To mend:', *(f'  {mend}' for mend in mends)]
    return '\n'.join(line.rstrip() for line in lines)


def _shortened(text: str) -> str:
    return text if len(text) <= WIDEST else f'{text[: WIDEST - 3]}...'
