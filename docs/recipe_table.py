"""Writes the table of recipes in gin_configs/README.md from the headers of their gin files.

python docs/recipe_table.py
"""

import dataclasses
import pathlib
import re
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[1]
CONFIGS = ROOT / 'gin_configs'
PAGE = CONFIGS / 'README.md'
# Folders whose gin files are given after a recipe, or included by one.
NO_SYSTEMS = ('models', 'runs', 'overlays', 'parts')
TABLE = re.compile(r'(?<=<!-- recipes -->\n).*?(?=<!-- end of recipes -->)', re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Header:
    """What the comment at the top of a recipe says.

    Attributes:
      what: the system with its paper and section, and the corpus.
      command: what runs the recipe, as it stands in a shell.
      hardware: on what it runs, and how long.
      result: the metric that it reached, with interval and commit, or that it was not run yet.
    """

    what: str
    command: str
    hardware: str
    result: str


def recipes() -> list[pathlib.Path]:
    """The recipes of the repository, by system and name."""
    return sorted(
        path
        for path in CONFIGS.glob('*/*.gin')
        if path.parent.name not in NO_SYSTEMS and path.name != 'base.gin'
    )


def paragraphs(text: str) -> list[str]:
    """The paragraphs of the comment that a gin file begins with, without the signs of comments."""
    comment = re.match(r'(?:#.*\n)*', text)[0]
    lines = [line.removeprefix('#').removeprefix(' ') for line in comment.splitlines()]
    return '\n'.join(lines).split('\n\n')


def command(text: str) -> str | None:
    """The paragraph of a gin file's header that is a command; None where there is none."""
    found = (part for part in paragraphs(text) if part.lstrip().startswith('python -m '))
    return next((textwrap.dedent(part) for part in found), None)


def header(text: str) -> Header:
    """The header of a recipe.

    Raises:
      ValueError: when one of the four parts is missing.
    """
    parts = paragraphs(text)
    flowing = [' '.join(part.split()) for part in parts]
    labelled = dict(part.split(': ', 1) for part in flowing if part.startswith(('Hardware: ', 'Result: ')))
    found = {
        'what': '' if flowing[0].startswith(('python', *labelled)) else flowing[0],
        'command': command(text),
        'hardware': labelled.get('Hardware'),
        'result': labelled.get('Result'),
    }
    missing = [name for name, part in found.items() if not part]
    if missing:
        raise ValueError(f'the comment at the top lacks {", ".join(missing)}; see gin_configs/README.md')
    return Header(**found)


def table() -> str:
    """The table as Markdown, a line a recipe.

    Raises:
      ValueError: when a recipe's header is not whole.
    """
    lines = ['| recipe | what | hardware and time | result |', '|---|---|---|---|']
    for path in recipes():
        name = path.relative_to(CONFIGS)
        try:
            said = header(path.read_text(encoding='utf-8'))
        except ValueError as error:
            raise ValueError(f'{name}: {error}') from error
        cells = (text.rstrip('.').replace('|', r'\|') for text in (said.what, said.hardware, said.result))
        lines.append(f'| [{name}]({name}) | {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'


def main() -> None:
    """Writes the table into the page."""
    PAGE.write_text(TABLE.sub(lambda _: table(), PAGE.read_text(encoding='utf-8')), encoding='utf-8')


if __name__ == '__main__':
    main()
