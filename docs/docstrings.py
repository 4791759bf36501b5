"""What this library's docstrings write as Markdown, as reStructuredText: tables and indented code."""

import re
from collections.abc import Iterator

RULE = re.compile(r'\|[\s:|-]+\|')


def convert(app, what, name, obj, options, lines):
    """Converts `lines` in place; a listener of `autodoc-process-docstring`.

    Args:
      app: Sphinx.
      what: the kind of object.
      name: its full name.
      obj: the object.
      options: autodoc's options.
      lines: the docstring, changed in place.
    """
    lines[:] = literal_blocks(list_tables(lines))


def list_tables(lines: list[str]) -> list[str]:
    """`lines` with each Markdown table as a `list-table` directive."""
    converted: list[str] = []
    position = 0
    while position < len(lines):
        if (
            position + 1 < len(lines)
            and lines[position].startswith('|')
            and RULE.fullmatch(lines[position + 1])
        ):
            end = position
            while end < len(lines) and lines[end].startswith('|'):
                end += 1
            rows = [lines[position], *lines[position + 2 : end]]
            converted += ['.. list-table::', '   :header-rows: 1', '']
            converted += [line for row in rows for line in _cells(row)] + ['']
            position = end
        else:
            converted.append(lines[position])
            position += 1
    return converted


def literal_blocks(lines: list[str]) -> list[str]:
    """`lines` with each block of code, indented behind a paragraph and a blank line, marked as literal."""
    return [line for place in range(len(lines)) for line in _marked(lines, place)]


def _marked(lines: list[str], place: int) -> Iterator[str]:
    before = lines[place - 2 : place] if place >= 2 else []
    starts_block = (
        lines[place].startswith('    ')
        and before
        and not before[1].strip()
        and before[0].strip()
        and not before[0].startswith((' ', '..', '- '))
    )
    if starts_block:
        yield from ('::', '')
    yield lines[place]


def _cells(row: str) -> list[str]:
    cells = [cell.strip() for cell in row.strip().strip('|').split('|')]
    return [f'   {"*" if number == 0 else " "} - {cell}' for number, cell in enumerate(cells)]
