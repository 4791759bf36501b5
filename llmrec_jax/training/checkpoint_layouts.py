"""Finds out how a checkpoint is laid out, and opens its arrays.

Orbax wrote ours, and T5X's since it uses Orbax. T5X's first layout is the one in which Google publishes T5,
T5 1.1 and Flan-T5: `checkpoint_<step>/checkpoint` is a msgpack file of flax. Small arrays lie in it; in
place of a large one stands its tensorstore specification, whose zarr store lies beside the file
(`target.encoder.layers_0.attention.query.kernel`). Specifications name the store by a path relative to the
folder and a driver of the place it was first written to, so a checkpoint may be moved.
"""

import contextlib
import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from flax import serialization, traverse_util

from llmrec_jax.training.stored_arrays import Folder, HeldArray, ReadableArray, ZarrArray


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be read or written; the message says what to do."""


@contextlib.contextmanager
def reading(path: str | os.PathLike, mend: str) -> Iterator[None]:
    """Turns whatever goes wrong inside into a `CheckpointError` that names `path` and the way to mend it."""
    try:
        yield
    except CheckpointError:
        raise
    # What a damaged file raises depends on which byte is damaged; all of it means the same to the reader.
    except Exception as error:
        raise CheckpointError(f'{path} cannot be read ({first_line(error)}); {mend}') from error


def first_line(error: Exception) -> str:
    """Kind and first line of `error`, without the long specifications that tensorstore appends."""
    lines = str(error).strip().splitlines()
    return f'{type(error).__name__}: {lines[0].split(" [tensorstore_spec=")[0] if lines else ""}'


METADATA = '_METADATA'
# What Orbax says of a leaf that holds no array.
NO_ARRAYS = ('None', 'Dict', 'List', 'Tuple', 'NamedTuple', 'string')


def is_orbax(folder: Folder) -> bool:
    """Whether Orbax wrote a tree of arrays into `folder`."""
    return folder.read(METADATA) is not None


def orbax_arrays(folder: Folder, prefix: str) -> dict[str, ZarrArray]:
    """The arrays of the tree that Orbax wrote into `folder`, by their paths in the tree.

    A member of a tuple bears its index and one of a named tuple its field's name, so that a tree of optax's
    own states and T5X's dictionaries of the same states have the same paths.

    Args:
      folder: the item's folder, `checkpoint_<step>/state`.
      prefix: of the paths that are wanted.

    Raises:
      Exception: when it is damaged.
    """
    described = json.loads(folder.read(METADATA))
    names = []
    for leaf in described['tree_metadata'].values():
        keys = [str(part['key']) for part in leaf['key_metadata']]
        if leaf['value_metadata']['value_type'] not in NO_ARRAYS and '/'.join(keys).startswith(prefix):
            names.append(keys)
    driver = 'zarr3' if described.get('use_zarr3') else 'zarr'
    merged = folder.read('manifest.ocdbt') is not None
    specs = {}
    for keys in names:
        # Orbax joins the keys with dots, and lays an array under that name.
        stored = '.'.join(keys) + '/'
        kvstore = {'driver': 'ocdbt', 'base': folder.url, 'path': stored} if merged else folder.url + stored
        specs['/'.join(keys)] = {'driver': driver, 'kvstore': kvstore}
    return folder.open_arrays(specs)


FILE = 'checkpoint'
SPECIFICATION = {'driver', 'kvstore', 'metadata'}
OLDEST = 2
# T5X wrote bfloat16 under this type until June 2021.
DISGUISED = np.dtype('uint16')
TENSORFLOW = b'model_checkpoint_path'


def t5x_arrays(folder: Folder, prefix: str) -> dict[str, ReadableArray]:
    """The arrays that `folder` holds, by their paths in the tree.

    Args:
      folder: `checkpoint_<step>`.
      prefix: of the paths that are wanted.

    Raises:
      CheckpointError: when it holds a TensorFlow checkpoint, a version T5X no longer writes, or lacks files.
      Exception: when it is damaged.
    """
    content = folder.read(FILE)
    if content.startswith(TENSORFLOW):
        raise CheckpointError(
            f'{folder} is a TensorFlow checkpoint of Mesh TensorFlow T5; take the same model from the T5X '
            'checkpoints, or convert it with T5X (convert_tf_checkpoint)'
        )
    contents = serialization.msgpack_restore(content)
    if contents.get('version', 0) < OLDEST:
        raise CheckpointError(
            f'{folder} has version {contents.get("version", 0)} of the T5X layout, and T5X itself reads none '
            f'before {OLDEST}; take another checkpoint'
        )
    leaves = {
        name: leaf
        for name, leaf in traverse_util.flatten_dict(
            contents['optimizer'], sep='/', is_leaf=lambda _, leaf: _is_spec(leaf)
        ).items()
        if name.startswith(prefix) and leaf is not None
    }
    held = {name: HeldArray(np.asarray(leaf)) for name, leaf in leaves.items() if not _is_spec(leaf)}
    specs = {name: _spec(folder, leaf) for name, leaf in leaves.items() if _is_spec(leaf)}
    stored = folder.open_arrays(specs)
    for name, array in stored.items():
        if array.dtype == DISGUISED:
            raise CheckpointError(f'{folder} holds {name} as {array.dtype}; T5X must convert it to bfloat16')
        described = tuple(leaves[name]['metadata']['shape'])
        if described != array.shape:
            raise CheckpointError(
                f'{folder} is of one piece no more: {name} has shape {described} in the file '
                f'{FILE!r} and {array.shape} in its own folder; copy the checkpoint again'
            )
    _check_whole(folder, stored)
    return held | stored


def _is_spec(leaf: Any) -> bool:
    return isinstance(leaf, dict) and leaf.keys() >= SPECIFICATION


def _spec(folder: Folder, leaf: dict[str, Any]) -> dict[str, Any]:
    # Older tensorstore versions had the path beside the key-value store, newer ones have it inside.
    path = leaf['kvstore'].get('path') or leaf['path']
    return {'driver': leaf['driver'], 'kvstore': folder.url + path.strip('/') + '/'}


def _check_whole(folder: Folder, arrays: dict[str, ZarrArray]) -> None:
    """Zarr reads a chunk that is not there as zeros, so a copy cut short would pass for a model."""
    listing = {name: array.store.kvstore.list() for name, array in arrays.items()}
    for name, keys in listing.items():
        chunk = arrays[name].store.chunk_layout.read_chunk.shape
        expected = math.prod(-(-size // step) for size, step in zip(arrays[name].shape, chunk, strict=True))
        found = sum(not key.split(b'/')[-1].startswith(b'.') for key in keys.result())
        if found < expected:
            raise CheckpointError(
                f'{folder} is not whole: {name} has {found} of its {expected} chunk files; copy it again'
            )


STATE = 'state'
PARAMETERS = 'target/'
COPY_AGAIN = 'check its address and copy it again, or take another checkpoint'


@dataclasses.dataclass(frozen=True, eq=False)
class StoredTree:
    """The arrays of one checkpoint, of which only the metadata has been read.

    Attributes:
      path: where it lies.
      layout: 'orbax' or 't5x', for T5X's first layout.
      arrays: path in the tree, `target/…` or `state/…`, to array.
    """

    path: str
    layout: str
    arrays: Mapping[str, ReadableArray]


def open_checkpoint(
    checkpoint: str | os.PathLike, prefix: str = PARAMETERS, mend: str = COPY_AGAIN
) -> StoredTree:
    """Opens a checkpoint whoever wrote it: this library, T5X with Orbax, or T5X before that.

    Args:
      checkpoint: a folder `checkpoint_<step>`, local or `gs://`.
      prefix: which paths are wanted: 'target/' for the parameters, '' for the optimizer's state as well.
      mend: what to do when it is damaged.

    Raises:
      CheckpointError: when it is not there, is damaged, or holds no parameters.
    """
    folder = Folder(checkpoint)
    with reading(folder.path, mend):
        if is_orbax(inner := folder / STATE) or is_orbax(inner := folder):
            tree = StoredTree(str(folder), 'orbax', orbax_arrays(inner, prefix))
        elif folder.read(FILE) is not None:
            tree = StoredTree(str(folder), 't5x', t5x_arrays(folder, prefix))
        else:
            raise CheckpointError(_absent(folder.path, mend))
    if not any(name.startswith(PARAMETERS) for name in tree.arrays):
        raise CheckpointError(f'{folder} holds no parameters ({PARAMETERS}…); {mend}')
    return tree


def _absent(path: str, mend: str) -> str:
    """Says that `path` is no checkpoint, and what it is; buckets are not searched."""
    local = pathlib.Path(path)
    if '://' in path or not local.is_dir():
        return f'{path}: no such checkpoint'
    inside = sorted(child.name for child in local.glob('checkpoint_*') if child.is_dir())
    if inside:
        return f'{path} is not a checkpoint, but holds {", ".join(inside)}: name one of them'
    return (
        f'{path} cannot be read: neither {STATE}/{METADATA} (written by Orbax) nor a file {FILE!r} (by T5X '
        f'before Orbax) is there; {mend}'
    )
