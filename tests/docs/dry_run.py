"""Checks a documented command as far as that goes without running it."""

import argparse
import importlib
import pathlib
import re
from collections.abc import Sequence
from unittest import mock

from llmrec_jax import corpus
from llmrec_jax.runs import corpus_binding, gin_config
from llmrec_jax.runs.system import System

# Launchers that want no recipe whole: what a plan leaves open may stay open.
INCOMPLETE = ('llmrec_jax.plan', 'llmrec_jax.corpus')
# Launchers that configure the whole of a system, so that each of its bindings must have an effect.
RECIPES = ('llmrec_jax.run', 'llmrec_jax.train', 'llmrec_jax.evaluate')


class Parsed(BaseException):
    """The flags of a launcher are parsed; what it would do next is left undone."""


def check(words: Sequence[str]) -> None:
    """Parses a launcher's flags by the launcher itself, and its gin files and bindings by the library.

    Args:
      words: of the command, from 'python' on.

    Raises:
      SystemExit: from argparse, on a flag that the launcher does not take.
      ConfigurationError: on a gin file or a binding that cannot be honoured.
    """
    _, _, module, *arguments = words
    parse_flags(module, arguments)
    if any(word.startswith('--interactions=') for word in arguments):
        # It stands for this file, which what follows `--gin.` is bound in.
        arguments = [f'--gin_file={corpus.TABLES}', '--gin.INTERACTIONS=x', *arguments]
    of_gin = [word for word in arguments if word.startswith(('--gin_file=', '--gin.', '--gin_search_paths='))]
    if of_gin:
        parser = argparse.ArgumentParser()
        gin_config.add_arguments(parser)
        _, gin_arguments = gin_config.parse_arguments(parser, of_gin)
        asked = (corpus_binding.MACRO,) if module == 'llmrec_jax.corpus' else ()
        loaded = gin_config.load(gin_arguments, complete=module not in INCOMPLETE, asked=asked)
        # MiniLM reads its weights' folder as soon as it is asked for its name, which checking its type does.
        wants_weights = any('minilm' in word for word in of_gin)
        if module in RECIPES and gin_config.configures(System) and not wants_weights:
            gin_config.instantiate(gin_config.configured(System), loaded)


def parse_flags(module: str, arguments: Sequence[str]) -> None:
    """Calls the `main` of a launcher, which goes as far as its parsed flags.

    Raises:
      SystemExit: from argparse, on a flag that the launcher does not take.
    """
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(*given, **named):
        parse(*given, **named)
        raise Parsed

    main = importlib.import_module(entry_of(module)).main
    with mock.patch.object(argparse.ArgumentParser, 'parse_args', parse_and_stop):
        try:
            main(list(arguments))
        except Parsed:
            return
    raise AssertionError(f'{module} parses no flags')


def entry_of(module: str) -> str:
    """The module that `python -m` runs: of a package its `__main__`."""
    path = gin_config.REPOSITORY / module.replace('.', '/')
    return f'{module}.__main__' if path.is_dir() else module


def check_t5x(words: Sequence[str]) -> None:
    """Checks that the gin files of a T5X command exist, and that they know every macro which it binds.

    T5X itself reads them where it is installed (`tests/t5x`).

    Raises:
      FileNotFoundError: when there is no such gin file.
      ValueError: when a macro is bound that no gin file names.
    """
    files = [word.removeprefix('--gin_file=') for word in words if word.startswith('--gin_file=')]
    text = '\n'.join(_with_includes(file) for file in files)
    bound = [word.removeprefix('--gin.').split('=')[0] for word in words if word.startswith('--gin.')]
    unknown = [name for name in bound if name.isupper() and not re.search(rf'\b{name}\b', text)]
    if unknown:
        raise ValueError(f'no gin file of {files} names {unknown}')


def _with_includes(file: str) -> str:
    text = (pathlib.Path(gin_config.REPOSITORY) / file).read_text()
    included = re.findall(r"""^include\s+['"]([^'"]+)""", text, re.MULTILINE)
    return '\n'.join([text, *(_with_includes(name) for name in included)])
