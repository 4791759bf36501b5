"""Arrays that lie in a checkpoint, read slice by slice from a local disk or a bucket.

All input goes through tensorstore's key-value stores, so a folder on disk and one under `gs://` differ in
their address alone, and no TensorFlow is needed for either.
"""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import tensorstore as ts

from llmrec_jax.stored_files import absolute, patient_context, url

Index = tuple[slice, ...]


@runtime_checkable
class ReadableArray(Protocol):
    """What can be read in part.

    Attributes:
      shape: of the whole array.
      dtype: of its elements where it lies.
    """

    shape: tuple[int, ...]
    dtype: np.dtype

    def read(self, index: Index) -> np.ndarray:
        """The part that `index`, a slice an axis, selects."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class HeldArray:
    """An array that is in memory already.

    Attributes:
      value: the array.
    """

    value: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return self.value.shape

    @property
    def dtype(self) -> np.dtype:
        """Its type."""
        return self.value.dtype

    def read(self, index: Index) -> np.ndarray:
        """The part that `index` selects."""
        return np.asarray(self.value[index])


@dataclasses.dataclass(frozen=True, eq=False)
class ZarrArray:
    """An array in a zarr store, of which only the metadata has been read.

    Attributes:
      store: the open store.
    """

    store: ts.TensorStore

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return tuple(self.store.shape)

    @property
    def dtype(self) -> np.dtype:
        """Its type."""
        return self.store.dtype.numpy_dtype

    def read(self, index: Index) -> np.ndarray:
        """The part that `index` selects."""
        return self.store[index].read().result()


class Folder:
    """A folder of a checkpoint, on a local disk or under `gs://`."""

    def __init__(self, path: str | os.PathLike):
        """Names the folder; nothing is read yet.

        Args:
          path: a path, or an address that tensorstore knows, such as `gs://bucket/folder`.
        """
        self.path = absolute(path)
        self.url = url(self.path) + '/'
        self._context = patient_context()

    def __truediv__(self, name: str) -> 'Folder':
        return Folder(f'{self.path}/{name}')

    def __str__(self) -> str:
        return self.path

    def read(self, name: str) -> bytes | None:
        """Contents of a file; None where there is none."""
        found = self._keys().read(name).result()
        return found.value if found.state == 'value' else None

    def open_arrays(self, specs: Mapping[str, Mapping[str, Any]]) -> dict[str, ZarrArray]:
        """Opens all of `specs` at once, which reads their metadata alone.

        Raises:
          Exception: tensorstore's, for the first that cannot be opened.
        """
        opening = {
            name: ts.open(dict(spec), open=True, read=True, context=self._context)
            for name, spec in specs.items()
        }
        return {name: ZarrArray(future.result()) for name, future in opening.items()}

    def _keys(self) -> ts.KvStore:
        return ts.KvStore.open(self.url, context=self._context).result()
