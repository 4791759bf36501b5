"""An array in a file, memory-mapped, whose blocks are checked when they are first read."""

import functools
import pathlib
import zlib

import numpy as np
from jaxtyping import Int, Shaped, UInt32

from llmrec_jax.training.column_files import BLOCK_BYTES, ColumnError, check_size, damaged


class CheckedArray:
    """A one-dimensional array in a raw file.

    Nothing is read before it is asked for. A block of the file is compared with its CRC-32 when the first
    element in it is asked for, and not again: the cost is that of one pass over what is read.
    """

    def __init__(
        self, path: pathlib.Path, dtype: np.dtype, length: int, checksums: UInt32[np.ndarray, 'blocks']
    ):
        """Checks that the file is there and has the size of `length` elements.

        Raises:
          ColumnError: when it has not.
        """
        check_size(path, length * dtype.itemsize)
        self._path, self._dtype, self._length, self._checksums = path, dtype, length, checksums
        self._checked = np.zeros(len(checksums), bool)
        self._all_checked = length == 0

    def covering(
        self, starts: Int[np.ndarray, 'ranges'], stops: Int[np.ndarray, 'ranges']
    ) -> Shaped[np.ndarray, 'length']:
        """The whole array, of which the ranges `starts[i]:stops[i]` are checked and may be read.

        Raises:
          ColumnError: when a block that a range reaches into is damaged.
        """
        if not self._all_checked:
            size = self._dtype.itemsize
            first, last = starts * size // BLOCK_BYTES, (stops * size - 1) // BLOCK_BYTES
            filled = stops > starts
            self._check(np.unique(np.concatenate([first[filled], last[filled]])))
            # Few ranges are longer than a block, and then what lies between its ends counts too.
            for low, high in zip(first[last > first + 1], last[last > first + 1]):
                self._check(np.arange(low + 1, high))
        return self._array

    def whole(self) -> Shaped[np.ndarray, 'length']:
        """The array, all of it checked.

        Raises:
          ColumnError: when a block is damaged.
        """
        if not self._all_checked:
            self._check(np.arange(len(self._checksums)))
            self._all_checked = True
        return self._array

    @functools.cached_property
    def _array(self) -> np.ndarray:
        if not self._length:
            return np.zeros(0, self._dtype)
        return np.memmap(self._path, self._dtype, mode='r', shape=(self._length,))

    def _check(self, blocks: np.ndarray) -> None:
        content = self._array.view(np.uint8)
        for block in blocks[~self._checked[blocks]]:
            start = int(block) * BLOCK_BYTES
            if zlib.crc32(content[start : start + BLOCK_BYTES]) != self._checksums[block]:
                raise ColumnError(damaged(self._path, f'checksum of the block at byte {start}'))
            self._checked[block] = True


class ArrayInMemory:
    """The interface of `CheckedArray` around an array that needs no checking."""

    def __init__(self, array: Shaped[np.ndarray, 'length']):
        self._array = array

    def covering(self, starts: np.ndarray, stops: np.ndarray) -> Shaped[np.ndarray, 'length']:
        """The array."""
        del starts, stops
        return self._array

    def whole(self) -> Shaped[np.ndarray, 'length']:
        """The array."""
        return self._array
