"""What a binding may be bound to: the annotations of the parameters that its value reaches."""

import builtins
import collections.abc
import contextlib
import dataclasses
import functools
import inspect
import os
import pathlib
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from beartype import BeartypeConf
from beartype.door import is_bearable
from beartype.roar import BeartypeException
from gin import config as gin_internals

MACRO = 'gin.macro'
# Gin writes no float for 1, and Python takes none to be needed.
_NUMBERS = BeartypeConf(is_pep484_tower=True)
_TEXTS = (str, os.PathLike, pathlib.Path)
# What `spelled_out` gives for a value that is made and not written.
ABSENT = object()

Bindings = Mapping[tuple[str, str, str], Any]


@dataclasses.dataclass(frozen=True)
class Target:
    """A parameter that a value is bound to.

    Attributes:
      name: as a person reads it, e.g. 'Trainer.steps'.
      hint: its annotation.
    """

    name: str
    hint: Any

    @property
    def takes_text_alone(self) -> bool:
        """Whether whatever is bound is a text (or None, where the annotation says so)."""
        kinds = set(_kinds(self.hint)) - {type(None)}
        return bool(kinds) and all(_is_text(kind) for kind in kinds)

    @property
    def takes_text(self) -> bool:
        """Whether a text is among what may be bound."""
        return any(_is_text(kind) for kind in _kinds(self.hint))

    @property
    def takes_none(self) -> bool:
        """Whether None may be bound."""
        return type(None) in _kinds(self.hint)

    def refuses(self, value: Any) -> bool:
        """Whether a value that gin spells out, without references, has another type."""
        try:
            # Gin files write tuples and lists as they please.
            return not any(is_bearable(form, self.hint, conf=_NUMBERS) for form in _forms(value))
        except BeartypeException:
            # An annotation that cannot be checked refuses nothing.
            return False

    @property
    def expected(self) -> str:
        """The annotation as a person reads it."""
        return ' or '.join(dict.fromkeys(_spelled(kind) for kind in _kinds(self.hint)))


def targets(scope: str, selector: str, parameter: str, bindings: Bindings) -> list[Target]:
    """The annotated parameters that the value of a binding reaches, through macros.

    Args:
      scope: of the binding; a macro's name.
      selector: of the configurable.
      parameter: of the configurable.
      bindings: all there are, by (scope, selector, parameter).
    """
    if selector != MACRO:
        found = _target(selector, parameter)
        return [] if found is None else [found]
    return list(_reached(scope, bindings, {scope}))


def spelled_out(value: Any, bindings: Bindings) -> Any:
    """The value itself, through macros; `ABSENT` where a reference is part of it."""
    while isinstance(value, gin_internals.ConfigurableReference):
        scope, selector = value.config_key
        if selector != MACRO or (scope, MACRO, 'value') not in bindings:
            return ABSENT
        value = bindings[scope, MACRO, 'value']
    return ABSENT if _has_reference(value) else value


def _reached(macro: str, bindings: Bindings, seen: set[str]) -> Iterator[Target]:
    for (scope, selector, parameter), value in bindings.items():
        if not (
            isinstance(value, gin_internals.ConfigurableReference) and value.config_key == (macro, MACRO)
        ):
            continue
        if selector == MACRO:
            if scope not in seen:
                yield from _reached(scope, bindings, seen | {scope})
        elif (found := _target(selector, parameter)) is not None:
            yield found


def _target(selector: str, parameter: str) -> Target | None:
    wrapped = gin_internals._REGISTRY.get_match(selector).wrapped
    hint = _hints(wrapped).get(parameter, Any)
    plain = hint is Any or hint is object or isinstance(hint, typing.TypeVar | str)
    return None if plain else Target(f'{wrapped.__name__}.{parameter}', hint)


@functools.cache
def _hints(wrapped: Any) -> dict[str, Any]:
    """The annotations of a configurable's parameters; without those that name what is not imported."""
    if dataclasses.is_dataclass(wrapped):
        owners = list(reversed(wrapped.__mro__))
    else:
        owners = [wrapped.__init__ if isinstance(wrapped, type) else wrapped]
    found = {}
    for owner in owners:
        module = vars(sys.modules.get(getattr(owner, '__module__', None), builtins))
        for name, hint in inspect.get_annotations(owner).items():
            with contextlib.suppress(NameError, TypeError, AttributeError, SyntaxError):
                alone = types.SimpleNamespace(__annotations__={name: hint})
                found |= typing.get_type_hints(alone, module)
    return found


def _kinds(hint: Any) -> list[Any]:
    """The members of a union, or the annotation alone."""
    if typing.get_origin(hint) is typing.Annotated:
        return _kinds(typing.get_args(hint)[0])
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [kind for part in typing.get_args(hint) for kind in _kinds(part)]
    return [type(None) if hint is None else hint]


def _is_text(kind: Any) -> bool:
    if typing.get_origin(kind) is typing.Literal:
        return all(isinstance(value, str) for value in typing.get_args(kind))
    return kind in _TEXTS or typing.get_origin(kind) is os.PathLike


def _spelled(kind: Any) -> str:
    if typing.get_origin(kind) is typing.Literal:
        return ' or '.join(map(repr, typing.get_args(kind)))
    if kind is type(None):
        return 'None'
    if _is_text(kind):
        return 'text'
    return kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind)


def _forms(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, list | tuple | dict):
        yield _rewritten(value, tuple)
        yield _rewritten(value, list)


def _rewritten(value: Any, sequence: type) -> Any:
    if isinstance(value, dict):
        return {key: _rewritten(item, sequence) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return sequence(_rewritten(item, sequence) for item in value)
    return value


def _has_reference(value: Any) -> bool:
    if isinstance(value, gin_internals.ConfigurableReference):
        return True
    if isinstance(value, collections.abc.Mapping):
        return any(_has_reference(part) for pair in value.items() for part in pair)
    return isinstance(value, list | tuple | set) and any(map(_has_reference, value))
