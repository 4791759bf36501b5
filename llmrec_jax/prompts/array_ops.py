"""The few array operations that draws and forms are written in, so that one text serves NumPy and TensorFlow.

A form is written once against `ArrayOps`; operators (`+`, `<`, indexing, slicing) mean the same on both
sides. Integers are int64, bits are uint64, texts are Python strings here and UTF-8 bytes in TensorFlow.
"""

import abc
from collections.abc import Sequence
from typing import Any

import numpy as np

# An array, scalar or text of the side at work.
Array = Any


class ArrayOps(abc.ABC):
    """What both sides offer."""

    @abc.abstractmethod
    def integers(self, values: Any) -> Array:
        """As int64."""

    @abc.abstractmethod
    def bits(self, values: Any) -> Array:
        """As uint64, wrapping around."""

    @abc.abstractmethod
    def xor(self, left: Array, right: Array) -> Array:
        """Of bits."""

    @abc.abstractmethod
    def shift_right(self, values: Array, places: int) -> Array:
        """Of bits, filling with 0."""

    @abc.abstractmethod
    def arange(self, length: Array) -> Array:
        """0, 1, ... as int64."""

    @abc.abstractmethod
    def size(self, values: Array) -> Array:
        """Length of a vector."""

    @abc.abstractmethod
    def minimum(self, left: Array, right: Array) -> Array:
        """Elementwise."""

    @abc.abstractmethod
    def maximum(self, left: Array, right: Array) -> Array:
        """Elementwise."""

    @abc.abstractmethod
    def choose(self, condition: Array, yes: Array, no: Array) -> Array:
        """`yes` where the scalar `condition` holds, else `no`; both are scalars or texts."""

    @abc.abstractmethod
    def concat(self, parts: Sequence[Array]) -> Array:
        """Vectors one after the other."""

    @abc.abstractmethod
    def take(self, values: Array, rows: Array) -> Array:
        """`values[rows]`, for numbers and texts."""

    @abc.abstractmethod
    def keep(self, values: Array, wanted: Array) -> Array:
        """The elements of a vector where `wanted` holds."""

    @abc.abstractmethod
    def position(self, ascending: Array, values: Array) -> Array:
        """How many elements of a sorted vector are less than each value."""

    @abc.abstractmethod
    def texts(self, values: Sequence[str]) -> Array:
        """A table of texts to `take` from."""

    @abc.abstractmethod
    def require(self, condition: Array, message: str) -> None:
        """Raises an error with `message` unless the scalar `condition` holds."""


class NumpyOps(ArrayOps):
    """The plain side; see `ArrayOps`."""

    def integers(self, values):
        """See `ArrayOps`."""
        return np.asarray(values).astype(np.int64)[()]

    def bits(self, values):
        """See `ArrayOps`."""
        # At least one dimension: NumPy warns when a scalar wraps around, and wraps arrays in silence.
        return np.atleast_1d(np.asarray(values, np.uint64 if isinstance(values, int) else None)).astype(
            np.uint64
        )

    def xor(self, left, right):
        """See `ArrayOps`."""
        return left ^ right

    def shift_right(self, values, places):
        """See `ArrayOps`."""
        return values >> np.uint64(places)

    def arange(self, length):
        """See `ArrayOps`."""
        return np.arange(length, dtype=np.int64)

    def size(self, values):
        """See `ArrayOps`."""
        return np.int64(len(values))

    def minimum(self, left, right):
        """See `ArrayOps`."""
        return np.minimum(left, right)

    def maximum(self, left, right):
        """See `ArrayOps`."""
        return np.maximum(left, right)

    def choose(self, condition, yes, no):
        """See `ArrayOps`."""
        return yes if condition else no

    def concat(self, parts):
        """See `ArrayOps`."""
        return np.concatenate(parts)

    def take(self, values, rows):
        """See `ArrayOps`."""
        return values[rows]

    def keep(self, values, wanted):
        """See `ArrayOps`."""
        return values[wanted]

    def position(self, ascending, values):
        """See `ArrayOps`."""
        return np.searchsorted(ascending, values)

    def texts(self, values):
        """See `ArrayOps`."""
        # Of objects: NumPy's own strings lose NUL characters at their end.
        table = np.empty(len(values), object)
        table[:] = values
        return table

    def require(self, condition, message):
        """See `ArrayOps`."""
        if not condition:
            raise ValueError(message)


NUMPY = NumpyOps()
