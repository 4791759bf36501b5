"""The arrays of a checkpoint in T5X's first layout, in which Google publishes T5, T5 1.1 and Flan-T5.

`checkpoint_<step>/checkpoint` is a msgpack file of flax: small arrays lie in it, and in place of a large one
stands its tensorstore specification, whose zarr store lies beside the file
(`target.encoder.layers_0.attention.query.kernel`). Specifications name the store by a path relative to the
folder and a driver of the place it was first written to, so a checkpoint may be moved.
"""

import math
from typing import Any

import numpy as np
from flax import serialization, traverse_util

from llmrec_jax.training.checkpoint_errors import CheckpointError
from llmrec_jax.training.stored_arrays import Folder, HeldArray, ReadableArray, ZarrArray

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
