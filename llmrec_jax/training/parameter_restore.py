"""Parameters and state from a checkpoint, sharded, whoever wrote it and however it arranges its layers.

Each process reads the slices that its own devices hold, a few arrays at a time, so a model that no host could
hold whole can be restored.
"""

import concurrent.futures
import dataclasses
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import traverse_util
from jaxtyping import PyTree

from llmrec_jax.training.base_checkpoints import open_whole
from llmrec_jax.training.checkpoint_layouts import (
    COPY_AGAIN,
    PARAMETERS,
    CheckpointError,
    StoredTree,
    open_checkpoint,
    reading,
)
from llmrec_jax.training.frozen import split
from llmrec_jax.training.layer_arrangements import Source, sources
from llmrec_jax.training.stored_arrays import Index, ReadableArray
from llmrec_jax.training.train_state import TrainState, from_tree, to_tree

LOG = logging.getLogger(__name__)
# Arrays read at once: hides a bucket's latency, and bounds what a host holds beside the finished parameters.
ARRAYS_AT_ONCE = 4
ANOTHER_CHECKPOINT = 'take a checkpoint of this one'
DRAWN = ', or name it in Trainer.fresh_parameters to draw it by the seed'
STATES = 'state/param_states/'
# T5X's Adafactor keeps its moments under each parameter; optax keeps a tree of parameters for each moment.
FACTOR = 'v_row'
EMBEDDINGS = ('token_embedder/embedding', 'decoder/logits_dense/kernel')


def restore_params(
    checkpoint: str | os.PathLike,
    abstract: PyTree[jax.ShapeDtypeStruct],
    fresh: Mapping[str, jax.Array] | None = None,
) -> PyTree[jax.Array]:
    """Reads the parameters of a checkpoint into a network of the same parameters.

    Args:
      checkpoint: a folder `checkpoint_<step>` of this library or of T5X, in Orbax's layout or T5X's first
        one, local or `gs://`; with one subtree a layer or with stacked layers.
      abstract: shapes, types and shardings of the network's parameters.
      fresh: path to value of parameters that are new to the network and not looked for in the checkpoint;
        None where all have to be there.

    Returns:
      The parameters, those of the checkpoint cast to the types and laid out with the shardings of `abstract`.

    Raises:
      CheckpointError: when the checkpoint is not there or is damaged, or when its parameters are not those of
        `abstract`, which is found out before any is read; the message names the first that differs.
    """
    tree, wanted = open_whole(checkpoint), _named_params(abstract, fresh)
    restored = _read_all(tree, wanted, _find_params(tree, wanted, fresh), COPY_AGAIN)
    LOG.info('parameters come from %s', tree.path)
    if fresh:
        LOG.info('drawn anew: %s', ', '.join(fresh))
        restored |= {PARAMETERS + name: value for name, value in fresh.items()}
    return _rebuilt(abstract, restored, PARAMETERS)


def open_params(
    checkpoint: str | os.PathLike, shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, ReadableArray]:
    """Finds the parameters of a network in a checkpoint, and reads none.

    Args:
      checkpoint: as for `restore_params`.
      shapes: path and shape of each parameter of the network.

    Raises:
      CheckpointError: as `restore_params`, but for what is found out only by reading.
    """
    tree = open_whole(checkpoint)
    wanted = {PARAMETERS + path: jax.ShapeDtypeStruct(shape, np.float32) for path, shape in shapes.items()}
    found = _find(tree, wanted, ANOTHER_CHECKPOINT)
    return {name.removeprefix(PARAMETERS): source.view(tree.arrays) for name, source in found.items()}


def check_params(
    checkpoint: str | os.PathLike, abstract: PyTree[jax.ShapeDtypeStruct], fresh: Sequence[str] | None = None
) -> None:
    """Finds out whether `restore_params` would find all parameters, and reads none.

    Args:
      checkpoint: as for `restore_params`.
      abstract: shapes of the network's parameters.
      fresh: paths of parameters that are not looked for in the checkpoint; None where all have to be there.

    Raises:
      CheckpointError: as `restore_params` raises it.
    """
    tree = open_whole(checkpoint)
    _find_params(tree, _named_params(abstract, fresh), fresh)


def drawn_paths(
    checkpoint: str | os.PathLike,
    abstract: PyTree[jax.ShapeDtypeStruct],
    fresh: Sequence[str],
    trained: Sequence[str],
) -> list[str]:
    """Paths of the parameters that are drawn where training starts from a checkpoint.

    Args:
      checkpoint: as for `restore_params`.
      abstract: shapes of the network's parameters.
      fresh: `Trainer.fresh_parameters`.
      trained: `Trainer.trained`; where some are frozen, those that are trained and absent are drawn.

    Raises:
      CheckpointError: when the checkpoint is not there or damaged.
      ValueError: when nothing bears a name, or a parameter that is to be drawn is frozen.
    """
    named = fresh_paths(abstract, fresh)
    if not trained:
        return named
    moving, still = (named_leaves(part) for part in split(abstract, trained))
    if kept := next((name for name in named if name in still), None):
        raise ValueError(
            f'Trainer.fresh_parameters draws {kept}, which Trainer.trained leaves frozen, so that no '
            'checkpoint would hold it: let Trainer.trained match it too'
        )
    stored = open_whole(checkpoint).arrays
    found = sources({PARAMETERS + name: tuple(leaf.shape) for name, leaf in moving.items()}, stored)
    absent = {name for name in moving if not found[PARAMETERS + name].parts.keys() & stored.keys()}
    return [name for name in moving if name in absent or name in named]


def fresh_paths(abstract: PyTree[jax.ShapeDtypeStruct], prefixes: Sequence[str]) -> list[str]:
    """Paths of the parameters that lie under one of `prefixes`.

    Raises:
      ValueError: when no parameter lies under one of them.
    """
    names = list(named_leaves(abstract))
    under = {prefix: [name for name in names if f'{name}/'.startswith(f'{prefix}/')] for prefix in prefixes}
    for prefix, found in under.items():
        if not found:
            raise ValueError(
                f'Trainer.fresh_parameters names {prefix!r}, but the network has no such parameter; it has '
                f'{", ".join(sorted({"/".join(name.split("/")[:2]) for name in names}))}'
            )
    return [name for name in names if any(name in found for found in under.values())]


def restore_frozen(checkpoint: str | os.PathLike, abstract: TrainState) -> PyTree[jax.Array]:
    """Reads the frozen parameters of a state; the checkpoint may hold those that are trained too.

    Args:
      checkpoint: as for `restore_params`.
      abstract: shapes, types and shardings.

    Raises:
      CheckpointError: as `restore_params`.
    """
    tree, wanted = open_whole(checkpoint), _named_params(abstract.frozen, None)
    trained = {PARAMETERS + name: tuple(leaf.shape) for name, leaf in named_leaves(abstract.params).items()}
    others = {part for source in sources(trained, tree.arrays).values() for part in source.parts}
    kept = {name: array for name, array in tree.arrays.items() if name not in others}
    tree = dataclasses.replace(tree, arrays=kept)
    restored = _read_all(tree, wanted, _find(tree, wanted, ANOTHER_CHECKPOINT), COPY_AGAIN)
    LOG.info('frozen parameters come from %s', tree.path)
    return _rebuilt(abstract.frozen, restored, PARAMETERS)


def restore_state(checkpoint: str | os.PathLike, abstract: TrainState, mend: str) -> TrainState:
    """Reads parameters, optimizer's state and step, from where training then goes on.

    Args:
      checkpoint: as for `restore_params`; from T5X when it wrapped the same optax optimizer.
      abstract: shapes, types and shardings.
      mend: what to do when it is damaged.

    Raises:
      CheckpointError: when it is not there or is damaged, or when it is of another model or optimizer.
    """
    tree = open_checkpoint(checkpoint, prefix='', mend=mend)
    names = [name.removeprefix(PARAMETERS) for name in tree.arrays if name.startswith(PARAMETERS)]
    if any(f'{STATES}{name}/{FACTOR}' in tree.arrays for name in names):
        raise CheckpointError(
            f"{tree.path} holds the state of T5X's own Adafactor, which no optax optimizer can go on with; "
            'name it as Trainer.initial_checkpoint in another workdir to start from its parameters'
        )
    wanted = to_tree(abstract)
    named = named_leaves(wanted)
    restored = _read_all(tree, named, _find(tree, named, 'use another workdir'), mend)
    LOG.info("parameters and the optimizer's state come from %s", tree.path)
    return from_tree(_rebuilt(wanted, restored), abstract)


def load_params(checkpoint: str | os.PathLike) -> PyTree[np.ndarray]:
    """Parameters of one checkpoint as they lie there, in host memory; those of its base are not among them.

    Args:
      checkpoint: as for `restore_params`.

    Raises:
      CheckpointError: when it is not there or is damaged.
    """
    tree = open_checkpoint(checkpoint)
    with reading(tree.path, COPY_AGAIN):
        arrays = {
            name.removeprefix(PARAMETERS): array.read(tuple(slice(None) for _ in array.shape))
            for name, array in tree.arrays.items()
        }
    return traverse_util.unflatten_dict(arrays, sep='/')


def named_leaves(tree: PyTree[Any]) -> dict[str, Any]:
    """Leaves by their paths, the same whether a level is a dictionary, a tuple or a named tuple."""
    return {
        '/'.join(
            str(getattr(key, 'key', getattr(key, 'name', getattr(key, 'idx', None)))) for key in path
        ): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def _named_params(
    abstract: PyTree[jax.ShapeDtypeStruct], fresh: Iterable[str] | None
) -> dict[str, jax.ShapeDtypeStruct]:
    new = set(fresh or ())
    return {PARAMETERS + name: leaf for name, leaf in named_leaves(abstract).items() if name not in new}


def _find_params(
    tree: StoredTree, wanted: Mapping[str, jax.ShapeDtypeStruct], fresh: Iterable[str] | None
) -> dict[str, Source]:
    if fresh is None:
        return _find(tree, wanted, ANOTHER_CHECKPOINT)
    for name in fresh:
        if PARAMETERS + name in tree.arrays:
            raise CheckpointError(
                f'{tree.path} has {name}, which Trainer.fresh_parameters would draw anew: leave it out of '
                'fresh_parameters, or take a checkpoint that lacks it'
            )
    return _find(tree, wanted, ANOTHER_CHECKPOINT, DRAWN)


def _find(
    tree: StoredTree, wanted: Mapping[str, jax.ShapeDtypeStruct], mismatched: str, absent: str = ''
) -> dict[str, Source]:
    """Where each of `wanted` lies in `tree`; `mismatched` and `absent` say what to do where it does not."""
    try:
        found = sources({name: tuple(leaf.shape) for name, leaf in wanted.items()}, tree.arrays)
    except ValueError as error:
        raise CheckpointError(f'{tree.path} cannot be taken: {error}') from error
    here = {name: shape for source in found.values() for name, shape in source.parts.items()}
    there = {name: tuple(array.shape) for name, array in tree.arrays.items()}
    # Parameters come first: where they differ, the optimizer's state does too.
    for name in sorted(here.keys() | there.keys(), key=lambda name: (not name.startswith(PARAMETERS), name)):
        if (ours := here.get(name)) != (theirs := there.get(name)):
            other_model = f'configure the model that it was written with, or {mismatched}'
            other_model += absent if theirs is None else ''
            raise CheckpointError(
                f'{tree.path} was written by another model or optimizer: {name} has shape '
                f'{there.get(name, "(absent)")} there and {here.get(name, "(absent)")} here; '
                + (_other_vocabulary(name, ours, theirs) or other_model)
            )
    return found


def _read_all(
    tree: StoredTree,
    wanted: Mapping[str, jax.ShapeDtypeStruct],
    found: Mapping[str, Source],
    damaged: str,
) -> dict[str, jax.Array]:
    """Reads `wanted` from where `_find` found it; `damaged` says what to do where it cannot be read."""
    with reading(tree.path, damaged):
        views = {name: source.view(tree.arrays) for name, source in found.items()}
        with concurrent.futures.ThreadPoolExecutor(ARRAYS_AT_ONCE) as pool:
            arrays = pool.map(_read, views.values(), (wanted[name] for name in views))
            return dict(zip(views, arrays, strict=True))


def _other_vocabulary(name: str, here: tuple[int, ...] | None, there: tuple[int, ...] | None) -> str | None:
    """What to do where it is only the vocabulary that differs."""
    if not (here and there and name.endswith(EMBEDDINGS)):
        return None
    axis = 0 if name.endswith(EMBEDDINGS[0]) else 1
    if here[1 - axis] != there[1 - axis]:
        return None
    return (
        f'its vocabulary has {there[axis]} rows and that of this network {here[axis]}: set '
        f'T5Config.vocab_size = {there[axis]} (the public T5 checkpoints have 32128 rows: 32100 tokens, '
        'rounded up to a multiple of 128)'
    )


def _rebuilt(like: PyTree[Any], named: Mapping[str, Any], prefix: str = '') -> PyTree[Any]:
    """A tree of the structure of `like` with the leaves of `named`."""
    return jax.tree.unflatten(jax.tree.structure(like), [named[prefix + name] for name in named_leaves(like)])


def _read(view: ReadableArray, wanted: jax.ShapeDtypeStruct) -> jax.Array:
    """Reads every slice that a device of this process holds, once."""
    held: dict[Any, np.ndarray] = {}

    def part(index: Index) -> np.ndarray:
        key = tuple((axis.start, axis.stop) for axis in index)
        if key not in held:
            held[key] = np.asarray(view.read(index)).astype(wanted.dtype, copy=False)
        return held[key]

    return jax.make_array_from_callback(tuple(wanted.shape), wanted.sharding, part)
