"""The corpus that gin files bind, and gin lines that bind a corpus."""

import ast
import dataclasses
import os
from typing import Any

import gin
from gin import config as gin_internals

from llmrec_jax.corpora.source import CorpusSource, is_location
from llmrec_jax.runs import gin_config

# What every recipe calls its corpus.
MACRO = 'CORPUS'


def bound_source() -> CorpusSource:
    """The source that the loaded files name CORPUS, or the only one that they configure.

    Raises:
      ConfigurationError: when they configure none, or several of which none is CORPUS; and when a value of
        the source is missing.
    """
    named = gin_config.class_of_macro(MACRO)
    found = [named] if named else [cls for cls in gin_config.bound_classes() if _is_source(cls)]
    if len(found) != 1:
        raise gin_config.ConfigurationError(
            f'these gin files must configure one corpus, and configure '
            f'{" and ".join(cls.__name__ for cls in found) or "none"}; bind one as {MACRO} = @module.Class()'
        )
    gin_config.refuse_missing(found[0])
    if not named:
        return gin.get_configurable(found[0])()
    # The way in which gin itself makes what a macro stands for.
    with gin.config_scope(MACRO):
        return gin.get_configurable(gin_internals.macro)()


def overlay(source: CorpusSource) -> str:
    """A gin file that puts `source` in the place of a recipe's corpus, given after the recipe.

    Every field is bound, so that nothing which the recipe binds for its own corpus is left. Files are named
    by their absolute paths.

    Raises:
      ValueError: when gin cannot write a field.
    """
    imports: dict[str, str] = {}
    lines: list[str] = []
    reference = _bind(source, '', imports, lines)
    return '\n'.join(
        [
            f"# The corpus {source.name!r}. Given after a recipe, it takes the place of the recipe's own.",
            'from __gin__ import dynamic_registration',
            '',
            *(_import(module, name) for module, name in imports.items()),
            '',
            f'{MACRO} = {reference}',
            *lines,
            '',
        ]
    )


def _is_source(cls: type) -> bool:
    fields = [field.name for field in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else []
    return hasattr(cls, 'build') and (hasattr(cls, 'name') or 'name' in fields)


def _bind(value: Any, scope: str, imports: dict[str, str], lines: list[str]) -> str:
    """Adds the lines that bind the fields of `value`, and returns the reference to it."""
    module = type(value).__module__
    leaf = module.rpartition('.')[2]
    taken = {name for other, name in imports.items() if other != module}
    names = (leaf, *(f'{leaf}_{number}' for number in range(2, len(imports) + 3)))
    imports.setdefault(module, next(name for name in names if name not in taken))
    called = f'{scope}{imports[module]}.{type(value).__qualname__}'
    own = []
    for field in dataclasses.fields(value):
        if not field.init:
            continue
        one = getattr(value, field.name)
        if dataclasses.is_dataclass(one):
            written = _bind(one, f'{field.name}/', imports, lines)
        else:
            written = _literal(_absolute(one) if is_location(field) else one, f'{called}.{field.name}')
        own.append(f'{called}.{field.name} = {written}')
    lines[:0] = own
    return f'@{called}()'


def _absolute(value: Any) -> Any:
    path = os.path.expanduser(value) if isinstance(value, str | os.PathLike) else None
    return os.path.abspath(path) if path and os.path.exists(path) else value


def _literal(value: Any, name: str) -> str:
    value = os.fspath(value) if isinstance(value, os.PathLike) else value
    try:
        if ast.literal_eval(repr(value)) == value:
            return repr(value)
    except (ValueError, SyntaxError):
        pass
    raise ValueError(f'{name} is {value!r}, which gin cannot write; bind it in a gin file of your own')


def _import(module: str, name: str) -> str:
    package, _, leaf = module.rpartition('.')
    alias = '' if leaf == name else f' as {name}'
    return f'from {package} import {leaf}{alias}' if package else f'import {leaf}{alias}'
