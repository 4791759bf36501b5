"""GGUF files, llama.cpp's format, opened for their weights or their tokenizer."""

import os
import pathlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import gguf


def open_gguf(path: str | os.PathLike) -> 'gguf.GGUFReader':
    """A file's reader, whose tensors are read where they are asked for.

    Raises:
      RuntimeError: without the package `gguf`.
      FileNotFoundError: if there is no such file.
      ValueError: if it is no GGUF file, is cut short, or holds a type of tensor that `gguf` does not know.
    """
    try:
        import gguf
    except ModuleNotFoundError as error:
        raise RuntimeError(
            f"{path} is read by the package gguf: pip install 'llmrec_jax[gguf]', or pip install gguf"
        ) from error
    if not pathlib.Path(path).is_file():
        raise FileNotFoundError(f'{path} does not exist')
    try:
        return gguf.GGUFReader(path)
    # A file that ends too early shows as one of these, deep in numpy.
    except (ValueError, IndexError, KeyError, OverflowError) as error:
        if 'GGMLQuantizationType' in str(error):
            raise ValueError(
                f'{path} has a quantisation that gguf does not know ({error}): install a newer gguf'
            ) from error
        raise ValueError(f'{path} is no whole GGUF file, or is cut short ({error}); get it again') from error
