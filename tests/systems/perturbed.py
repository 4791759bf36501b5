"""Every setting of a system, and the system with one of them changed."""

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from flax import linen as nn

from llmrec_jax import marks

Path = tuple[Any, ...]


def settings(value: Any, path: Path = (), marked: bool = False) -> Iterator[tuple[Path, Any, bool]]:
    """Path and value of every plain setting below `value`, and whether a field on the way is marked."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        skipped = ('parent', 'name') if isinstance(value, nn.Module) else ()
        for field in dataclasses.fields(value):
            if field.name not in skipped:
                here = marked or not marks.decides_result(field) or bool(field.metadata)
                yield from settings(getattr(value, field.name), (*path, field.name), here)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from settings(inner, (*path, name), marked)
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            # Of a table of like records, such as P5's templates, one stands for all.
            if place == 0 or not dataclasses.is_dataclass(inner) or type(inner) is not type(value[0]):
                yield from settings(inner, (*path, place), marked)
    elif isinstance(value, bool | int | float | str):
        yield path, value, marked


def another(value: bool | int | float | str) -> Any:
    """A value of the same kind that is not the same."""
    if isinstance(value, bool):
        return not value
    return f'{value}_other' if isinstance(value, str) else value + 1


def changed(whole: Any, path: Path, value: Any) -> Any:
    """`whole` with the setting at `path` replaced, and nothing checked."""
    if not path:
        return value
    name, *rest = path
    if isinstance(whole, Mapping):
        return {**whole, name: changed(whole[name], tuple(rest), value)}
    if isinstance(whole, list | tuple):
        parts = [*whole[:name], changed(whole[name], tuple(rest), value), *whole[name + 1 :]]
        return type(whole)(*parts) if hasattr(whole, '_fields') else type(whole)(parts)
    inner = changed(getattr(whole, name), tuple(rest), value)
    if isinstance(whole, nn.Module):
        return whole.clone(**{name: inner})
    made = copy.copy(whole)
    # What was computed from the former settings and kept.
    for kept in vars(made).keys() - {field.name for field in dataclasses.fields(whole)}:
        vars(made).pop(kept)
    object.__setattr__(made, name, inner)
    return made
