"""The pages, the blocks of code within them, and the commands that those show."""

import importlib.util
import pathlib
import re
import shlex
import sys
import types
from collections.abc import Iterator, Sequence

ROOT = pathlib.Path(__file__).parents[2]
PAGES = (
    ROOT / 'README.md',
    ROOT / 'tasks' / 'README.md',
    ROOT / 'gin_configs' / 'README.md',
    ROOT / 'tpu_scripts' / 'README.md',
    *sorted((ROOT / 'docs').glob('*.md')),
    *sorted((ROOT / 'docs' / 'systems').glob('*.md')),
)
BLOCK = re.compile(r'^```(\w+)\n(.*?)^```$', re.MULTILINE | re.DOTALL)
SPAN = re.compile(r'`([^`\n]+)`')


def load_script(path: pathlib.Path) -> types.ModuleType:
    """A script of docs/ as a module: docs/ is no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look up the module that they are defined in.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def blocks(page: pathlib.Path, language: str) -> list[str]:
    """The page's fenced blocks in a language, in order."""
    return [text for found, text in BLOCK.findall(page.read_text()) if found == language]


def prose(page: pathlib.Path) -> str:
    """The page without its fenced blocks."""
    return BLOCK.sub('', page.read_text())


def commands(page: pathlib.Path) -> list[str]:
    """Commands of the page's `sh` blocks that start a launcher, T5X, TFDS, make or a benchmark.

    What a command is piped into is a command, and so is what one of our scripts is told to start. Each is
    in one normal form: `python`, and its words as the shell parts them.
    """
    lines = [line for text in blocks(page, 'sh') for line in text.replace('\\\n', ' ').splitlines()]
    words = [part for line in lines for part in _started(shlex.split(line, comments=True))]
    return [shlex.join(part) for part in words]


def _started(words: Sequence[str]) -> Iterator[list[str]]:
    for place, word in enumerate(words):
        is_first = place == 0 or words[place - 1] == '|'
        is_python = pathlib.PurePath(word).name == 'python' and len(words) > place + 1
        if is_first and word in ('make', 'tfds'):
            yield list(words[place:])
        elif is_python and (words[place + 1].startswith('benchmarks/') or _is_launcher(words[place + 1 :])):
            yield ['python', *words[place + 1 :]]


def _is_launcher(words: Sequence[str]) -> bool:
    return words[0] == '-m' and words[1].split('.')[0] in ('llmrec_jax', 't5x')
