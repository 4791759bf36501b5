"""A hash of a configuration: what was configured, not where or when it ran."""

import dataclasses
import enum
import functools
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np


def describe(value: Any) -> Any:
    """`value` as plain JSON: dataclasses by class and fields, functions and classes by name, arrays by hash.

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
        fields = [field.name for field in dataclasses.fields(value) if field.name not in ('parent', 'name')]
        return {'class': _name(type(value)), **{name: describe(getattr(value, name)) for name in fields}}
    if callable(value):
        return _name(value)
    raise TypeError(
        f'cannot fingerprint a {type(value).__qualname__}: make it a dataclass whose fields tell what it is'
    )


def fingerprint(*values: Any) -> str:
    """sha256 of `describe(values)`."""
    return _sha256(json.dumps(describe(values), sort_keys=True).encode())


def _name(value: Any) -> str:
    return f'{value.__module__}.{value.__qualname__}'


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
