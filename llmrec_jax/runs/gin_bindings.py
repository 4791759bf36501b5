"""Bindings of the command line as gin reads them, and values of the wrong type named.

Gin takes a value for Python. What is bound to text is text here, however it looks: `20240501`, `it's`, `nan`.
"""

import ast
import contextlib
import re
from collections.abc import Sequence

from gin import config as gin_internals

from llmrec_jax.runs.gin_text import is_reference, unquoted
from llmrec_jax.runs.gin_types import ABSENT, MACRO, Bindings, spelled_out, targets


class ConfigurationError(ValueError):
    """A gin file or binding that cannot be honoured; the message says where and how to mend it."""


def as_gin(binding: str, bindings: Bindings) -> str:
    """A binding of the command line with quotes where its value is a text.

    That is told by the annotations of the parameters that the value reaches; where there are none, by the
    value that it takes the place of; and where there is none either, by its look.

    Args:
      binding: 'NAME=value', the name a macro's or a parameter's.
      bindings: of the gin files, by (scope, selector, parameter).

    Raises:
      ConfigurationError: when there is no value, or a word where the gin files have a number.
    """
    name, value = (part.strip() for part in binding.split('=', 1))
    if not value:
        raise ConfigurationError(f"--gin.{name}= has no value; write --gin.{name}='' for an empty text")
    if is_reference(value) or unquoted(value) is not None:
        return f'{name}={value}'
    key = _key(name)
    reached = [] if key is None else targets(*key, bindings)
    before = ABSENT if key is None else spelled_out(bindings.get(key, ABSENT), bindings)
    if reached:
        if value == 'None' and any(target.takes_none for target in reached):
            text = False
        else:
            alone = all(target.takes_text_alone for target in reached)
            text = alone or not (_is_literal(value) or _has_references(value))
    elif isinstance(before, str):
        text = value != 'None'
    else:
        text = _looks_like_text(value)
        if text and isinstance(before, int | float):
            raise ConfigurationError(
                f'--gin.{name}={value} is text, and the gin files bind it to {before!r}: give such a value'
            )
    return f'{name}={value!r}' if text else f'{name}={value}'


def check_types(bindings: Bindings, on_command_line: Sequence[str]) -> None:
    """Compares every value that is spelled out with the annotations of the parameters that it reaches.

    Args:
      bindings: all there are.
      on_command_line: 'NAME=value', for messages.

    Raises:
      ConfigurationError: naming the binding and what is expected.
    """
    given = {_key(binding.split('=', 1)[0].strip()): binding for binding in on_command_line}
    # A parameter that takes a macro's value is told by the macro's name.
    for key in sorted(bindings, key=lambda key: key[1] != MACRO):
        value = spelled_out(bindings[key], bindings)
        # A file's None is a part that this recipe leaves out, and that nothing may ask for.
        if value is ABSENT or (value is None and key not in given):
            continue
        for target in targets(*key, bindings):
            if target.refuses(value):
                scope, selector, parameter = key
                full = f'{scope}/{selector}.{parameter}'.removeprefix('/')
                name = scope if selector == MACRO else full
                said = f'--gin.{given[key]}' if key in given else f'{name} = {value!r}'
                raise ConfigurationError(f'{said}: {target.name} takes {target.expected}')


def _key(name: str) -> tuple[str, str, str] | None:
    """What a binding's name stands for in gin's registry; None where that is nothing yet."""
    scope, _, last = name.rpartition('/')
    selector, _, parameter = last.rpartition('.')
    if not selector:
        return name, MACRO, 'value'
    with contextlib.suppress(KeyError, ValueError):
        found = gin_internals._REGISTRY.get_match(selector)
        return None if found is None else (scope, found.selector, parameter)
    return None


def _looks_like_text(value: str) -> bool:
    # '100k' is a text that begins with a number.
    bare = re.fullmatch(r'[A-Za-z_./~][^\s\'"()@%]*|\d+[A-Za-z][\w-]*', value)
    return bare is not None and not _is_literal(value)


def _has_references(value: str) -> bool:
    """Whether a value may be a structure of gin with references in it."""
    return value[:1] in ('(', '[', '{') and re.search(r'[%@][\w./]', value) is not None


def _is_literal(value: str) -> bool:
    with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        ast.literal_eval(value)
        return True
    return False
