"""Writes a folder that `from_pretrained` of a T5, LLaMA, Qwen or Gemma reads."""

import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from llmrec_jax import files
from llmrec_jax.models.hf_weights.layout import Config, Layout, layout_of
from llmrec_jax.models.hf_weights.reading import INDEX, WEIGHTS
from llmrec_jax.models.hf_weights.reading_config import CONFIG

# As transformers 4 cuts them; a file is held in memory while it is written.
FILE_BYTES = 5_000_000_000
DTYPES = ('float32', 'bfloat16')
GENERATION_CONFIG = 'generation_config.json'

Reader = Callable[[], Float[np.ndarray, '...']]


def write_hf(
    directory: str | os.PathLike,
    config: Config,
    params: Mapping[str, Reader],
    *,
    dtype: str = 'float32',
    tokens: Mapping[str, Any] | None = None,
    beside: Mapping[str, bytes] | None = None,
    leave_out_extra: bool = False,
    file_bytes: int = FILE_BYTES,
) -> pathlib.Path:
    """Writes config.json, generation_config.json and the weights, the latter in one file or in several.

    Args:
      directory: a new or an empty folder.
      config: of the network.
      params: path of each parameter, with one subtree a layer, to what reads it; each is read once, and no
        more of them are held than a file has.
      dtype: that the tensors are stored in, 'float32' or 'bfloat16'.
      tokens: ids that config.json and generation_config.json give, e.g. 'eos_token_id'; None for those that
        all networks of the kind have (T5), or none.
      beside: name of each further file, such as those of the vocabulary, to its content.
      leave_out_extra: whether to write a network that has parameters which Hugging Face's lacks without
        them. It then answers as it does here where nothing is given for those, e.g. no whole-word ids.
      file_bytes: where the weights are more than this, they are written to several files and an index.

    Returns:
      The folder.

    Raises:
      ValueError: when Hugging Face has no such network, or a parameter has not the shape it has by
        `config`.
      FileExistsError: when `directory` holds anything.
    """
    directory = pathlib.Path(directory)
    check_exportable(directory, config, leave_out_extra, dtype)
    shapes = _named_shapes(config)
    groups = _groups(shapes, jnp.dtype(dtype).itemsize, file_bytes)
    with files.folder_written_whole(directory) as folder:
        layout = layout_of(config)
        ids = layout.tokens if tokens is None else tokens
        files.write_json(folder / CONFIG, {**layout.config_content(config, dtype), **ids})
        files.write_json(folder / GENERATION_CONFIG, dict(ids))
        for name, content in (beside or {}).items():
            (folder / name).write_bytes(content)
        names = _file_names(len(groups))
        for name, paths in zip(names, groups, strict=True):
            _write_file(folder / name, {path: params[path] for path in paths}, shapes, layout, dtype)
        if len(groups) > 1:
            files.write_json(folder / INDEX, _index(names, groups, shapes, layout, dtype))
    return directory


def check_exportable(
    directory: pathlib.Path,
    config: Config,
    leave_out_extra: bool = False,
    dtype: str = 'float32',
) -> None:
    """Finds out before any parameter is read what would keep `write_hf` from writing.

    Raises:
      ValueError, FileExistsError: as `write_hf`.
    """
    if dtype not in DTYPES:
        raise ValueError(f'weights are written in {" or ".join(DTYPES)}, not in {dtype!r}')
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise FileExistsError(f'{directory} holds something already; give a new or an empty folder')
    layout = layout_of(config)
    layout.config_content(config, dtype)
    extra = [path for path in layout.parameter_shapes(config) if layout.hf_name(path) is None]
    if extra and not leave_out_extra:
        raise ValueError(
            f'{extra[0]} has no place in {layout.kind}; leave_out_extra writes the network without it, '
            'which then answers as it does here where no ids are given for that parameter'
        )


def _named_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    layout = layout_of(config)
    shapes = layout.parameter_shapes(config)
    return {path: shape for path, shape in shapes.items() if layout.hf_name(path) is not None}


def _groups(shapes: Mapping[str, tuple[int, ...]], itemsize: int, file_bytes: int) -> list[list[str]]:
    """Paths by file; a tensor that is larger than a file may be has one of its own."""
    groups: list[list[str]] = [[]]
    filled = 0
    for path, shape in shapes.items():
        size = int(np.prod(shape)) * itemsize
        if groups[-1] and filled + size > file_bytes:
            groups.append([])
            filled = 0
        groups[-1].append(path)
        filled += size
    return groups


def _file_names(count: int) -> list[str]:
    if count == 1:
        return [WEIGHTS]
    stem, ending = WEIGHTS.split('.')
    return [f'{stem}-{number:05d}-of-{count:05d}.{ending}' for number in range(1, count + 1)]


def _write_file(
    path: pathlib.Path,
    params: Mapping[str, Reader],
    shapes: Mapping[str, tuple[int, ...]],
    layout: Layout,
    dtype: str,
) -> None:
    import safetensors.numpy

    tensors = {}
    for name, read in params.items():
        value = np.asarray(read())
        if value.shape != shapes[name]:
            raise ValueError(f'{name} has shape {value.shape} where the configuration says {shapes[name]}')
        value = value.T if layout.is_transposed(name) else value
        tensors[layout.hf_name(name)] = np.ascontiguousarray(value.astype(jnp.dtype(dtype), copy=False))
    # Without this, transformers 4 takes the file for another framework's and refuses it.
    safetensors.numpy.save_file(tensors, path, metadata={'format': 'pt'})


def _index(
    names: list[str],
    groups: list[list[str]],
    shapes: Mapping[str, tuple[int, ...]],
    layout: Layout,
    dtype: str,
) -> dict[str, Any]:
    count = sum(int(np.prod(shape)) for shape in shapes.values())
    return {
        'metadata': {'total_parameters': count, 'total_size': count * jnp.dtype(dtype).itemsize},
        'weight_map': {
            layout.hf_name(path): name for name, paths in zip(names, groups, strict=True) for path in paths
        },
    }
