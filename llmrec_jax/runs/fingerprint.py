"""A hash of a configuration: what was configured, not where it ran or in which module its code lies."""

import dataclasses
import enum
import functools
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax import linen as nn

from llmrec_jax import marks


def describe(value: Any) -> Any:
    """`value` as plain JSON.

    Dataclasses by their tag and their fields, as `llmrec_jax.marks` marks these; functions and classes by
    name; arrays by hash.

    The tag of a class is its attribute `FINGERPRINT_TAG`, or its name. Modules do not count, so that code may
    move and what was trained stays valid; whoever renames a class keeps its former name as the tag.

    Raises:
      TypeError: on an object whose state is not known; a hash that ignored it would reuse stale results.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, enum.Enum):
        return f'{type(value).__qualname__}.{value.name}'
    if isinstance(value, np.ndarray):
        content = np.ascontiguousarray(value)
        return {'dtype': str(value.dtype), 'shape': value.shape, 'sha256': _sha256(content.tobytes())}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.dtype):
        return str(value)
    if isinstance(value, Mapping):
        return {
            str(key): describe(item) for key, item in sorted(value.items(), key=lambda pair: str(pair[0]))
        }
    if isinstance(value, set | frozenset):
        return sorted(describe(item) for item in value)
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if isinstance(value, functools.partial):
        return {
            'partial': describe(value.func),
            'args': describe(value.args),
            'keywords': describe(value.keywords),
        }
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # `parent` and `name` are linen's bookkeeping, not configuration.
        linen = ('parent', 'name') if isinstance(value, nn.Module) else ()
        return {
            'class': tag(type(value)),
            **{
                field.name: describe(marks.described(field, getattr(value, field.name)))
                for field in dataclasses.fields(value)
                if field.name not in linen
                and marks.decides_result(field)
                and not marks.is_silent(field, getattr(value, field.name))
            },
        }
    if isinstance(value, type):
        return tag(value)
    if callable(value):
        return f'{value.__module__.partition(".")[0]}.{value.__qualname__}'
    raise TypeError(
        f'cannot fingerprint a {type(value).__qualname__}: make it a dataclass whose fields tell what it is'
    )


def tag(cls: type) -> str:
    """What stands for a class in fingerprints, wherever its code lies."""
    return vars(cls).get('FINGERPRINT_TAG', cls.__qualname__)


def fingerprint(*values: Any) -> str:
    """sha256 of `describe(values)`."""
    return _sha256(json.dumps(describe(values), sort_keys=True).encode())


def changes(before: Any, after: Any, path: str = '') -> list[str]:
    """What differs between two descriptions, e.g. `Trainer.steps: 200 -> 400`.

    Args:
      before: what `describe` gave, as it was read back from JSON.
      after: likewise, of now.
      path: of these values within a larger description.
    """
    after = json.loads(json.dumps(after))
    both = isinstance(before, dict) and isinstance(after, dict)
    if both and before.get('class') == after.get('class'):
        here = before.get('class', path)
        return [
            found
            for name in sorted(before.keys() | after.keys())
            for found in changes(before.get(name), after.get(name), f'{here}.{name}'.lstrip('.'))
        ]
    if before == after:
        return []
    return [f'{path}: {_short(_named(before))} -> {_short(_named(after))}']


def _named(value: Any) -> Any:
    """The class alone, where a whole configuration took another's place."""
    return value.get('class', value) if isinstance(value, dict) else value


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f'{text[:57]}...'


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
