"""One number for what a value holds, so that two tasks of one name can be told apart."""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np


def content_digest(*values: Any) -> str:
    """sha256 of what the values hold, by recursion into dataclasses, mappings, sequences and arrays.

    Raises:
      TypeError: for an object whose contents are unknown.
    """
    digest = hashlib.sha256()
    _feed(digest, values)
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    if value is None or isinstance(value, (bool, int, float, str, bytes, np.generic)):
        digest.update(f'{type(value).__name__} {value!r};'.encode())
    elif isinstance(value, np.ndarray) and value.dtype != object:
        digest.update(f'array {value.dtype} {value.shape};'.encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, Mapping):
        digest.update(f'mapping {len(value)};'.encode())
        for key in sorted(value, key=repr):
            _feed(digest, (key, value[key]))
    elif isinstance(value, (list, tuple, np.ndarray)):
        digest.update(f'sequence {len(value)};'.encode())
        for element in value:
            _feed(digest, element)
    elif isinstance(value, (set, frozenset)):
        _feed(digest, sorted(value, key=repr))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        digest.update(f'{type(value).__qualname__};'.encode())
        _feed(digest, {field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    elif callable(value) and hasattr(value, '__qualname__'):
        digest.update(f'{value.__module__}.{value.__qualname__};'.encode())
    else:
        raise TypeError(f'{type(value).__name__} is no dataclass, so that what it holds is unknown')
