"""Finds out how a checkpoint is laid out, and opens its arrays."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping

from llmrec_jax.training.checkpoint_errors import CheckpointError, reading
from llmrec_jax.training.orbax_checkpoints import METADATA, is_orbax, orbax_arrays
from llmrec_jax.training.stored_arrays import Folder, ReadableArray
from llmrec_jax.training.t5x_checkpoints import FILE, t5x_arrays

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
