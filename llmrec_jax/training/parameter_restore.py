"""Parameters from a checkpoint into a network, sharded, whoever wrote it and however it arranges its layers.

Each process reads the slices that its own devices hold, a few arrays at a time, so a model that no host could
hold whole can be restored.
"""

import concurrent.futures
import logging
import os
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import traverse_util
from jaxtyping import PyTree

from llmrec_jax.training.checkpoint_errors import CheckpointError, reading
from llmrec_jax.training.checkpoint_layouts import PARAMETERS, StoredTree, open_checkpoint
from llmrec_jax.training.layer_arrangements import Source, sources
from llmrec_jax.training.stored_arrays import Index, ReadableArray

LOG = logging.getLogger(__name__)
# Arrays read at once: hides a bucket's latency, and bounds what a host holds beside the finished parameters.
ARRAYS_AT_ONCE = 4
EMBEDDINGS = ('token_embedder/embedding', 'decoder/logits_dense/kernel')


def restore_params(
    checkpoint: str | os.PathLike, abstract: PyTree[jax.ShapeDtypeStruct]
) -> PyTree[jax.Array]:
    """Reads the parameters of a checkpoint into a network of the same parameters.

    Args:
      checkpoint: a folder `checkpoint_<step>` of this library or of T5X, in Orbax's layout or T5X's first
        one, local or `gs://`; with one subtree a layer or with stacked layers.
      abstract: shapes, types and shardings of the network's parameters.

    Returns:
      The parameters, cast to the types and laid out with the shardings of `abstract`.

    Raises:
      CheckpointError: when the checkpoint is not there or is damaged, or when its parameters are not those of
        `abstract`, which is found out before any is read; the message names the first that differs.
    """
    tree = open_checkpoint(checkpoint)
    wanted = {PARAMETERS + name: leaf for name, leaf in _flat(abstract).items()}
    found = match(tree, wanted)
    with reading(tree.path, 'take another checkpoint, or copy it again'):
        restored = _read_all({name: source.view(tree.arrays) for name, source in found.items()}, wanted)
    LOG.info('%d parameters come from %s (%s layout)', _count(wanted), tree.path, tree.layout)
    return _nested({name.removeprefix(PARAMETERS): value for name, value in restored.items()})


def load_params(checkpoint: str | os.PathLike) -> PyTree[np.ndarray]:
    """Parameters of one checkpoint as they lie there, in host memory.

    Args:
      checkpoint: as for `restore_params`.

    Raises:
      CheckpointError: when it is not there or is damaged.
    """
    tree = open_checkpoint(checkpoint)
    with reading(tree.path, 'take another checkpoint, or copy it again'):
        return _nested(
            {
                name.removeprefix(PARAMETERS): array.read(tuple(slice(None) for _ in array.shape))
                for name, array in tree.arrays.items()
            }
        )


def match(tree: StoredTree, wanted: Mapping[str, jax.ShapeDtypeStruct]) -> dict[str, Source]:
    """Where each of `wanted` lies in `tree`.

    Args:
      tree: the checkpoint.
      wanted: what the network or its optimizer holds, by path.

    Raises:
      CheckpointError: when `tree` lacks one, has one more, or has one of another shape.
    """
    shapes = {name: tuple(leaf.shape) for name, leaf in wanted.items()}
    found = sources(shapes, tree.arrays)
    here = {name: shape for source in found.values() for name, shape in source.parts.items()}
    there = {name: tuple(array.shape) for name, array in tree.arrays.items()}
    for name in sorted(here.keys() | there.keys(), key=lambda name: (not name.startswith(PARAMETERS), name)):
        if here.get(name) != there.get(name):
            raise CheckpointError(
                f'{tree.path} was written by another model or optimizer: {name} has shape '
                f'{there.get(name, "(absent)")} there and {here.get(name, "(absent)")} here; '
                + _mend(name, here.get(name), there.get(name))
            )
    return found


def _mend(name: str, here: tuple[int, ...] | None, there: tuple[int, ...] | None) -> str:
    if here and there and len(here) == len(there) and name.endswith(EMBEDDINGS):
        axis = 0 if name.endswith(EMBEDDINGS[0]) else 1
        if here[axis] != there[axis] and here[1 - axis] == there[1 - axis]:
            return (
                f'its vocabulary has {there[axis]} rows and this network {here[axis]}: set '
                f'T5Config.vocab_size = {there[axis]} (the public T5 checkpoints have 32128 rows: 32100 '
                'tokens, rounded up to a multiple of 128)'
            )
    return 'configure the model that it was written with, or take a checkpoint of this one'


def _read_all(
    views: Mapping[str, ReadableArray], wanted: Mapping[str, jax.ShapeDtypeStruct]
) -> dict[str, jax.Array]:
    with concurrent.futures.ThreadPoolExecutor(ARRAYS_AT_ONCE) as pool:
        arrays = pool.map(_read, views.values(), (wanted[name] for name in views))
        return dict(zip(views, arrays, strict=True))


def _read(view: ReadableArray, wanted: jax.ShapeDtypeStruct) -> jax.Array:
    """Reads every slice that a device of this process holds, once."""
    held: dict[Any, np.ndarray] = {}

    def part(index: Index) -> np.ndarray:
        key = tuple((axis.start, axis.stop) for axis in index)
        if key not in held:
            held[key] = np.asarray(view.read(index)).astype(wanted.dtype, copy=False)
        return held[key]

    return jax.make_array_from_callback(tuple(wanted.shape), wanted.sharding, part)


def _flat(tree: PyTree[Any]) -> dict[str, Any]:
    return traverse_util.flatten_dict(tree, sep='/')


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    return traverse_util.unflatten_dict(dict(flat), sep='/')


def _count(wanted: Mapping[str, jax.ShapeDtypeStruct]) -> int:
    return sum(int(np.prod(leaf.shape)) for leaf in wanted.values())
