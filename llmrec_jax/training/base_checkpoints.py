"""Checkpoints that hold a part of the parameters, and say where the others lie.

Beside the parameters that were trained, `checkpoint_<step>/base/metadata` says which checkpoint the frozen
ones are read from: its place, its place seen from this checkpoint (so that both may be moved together) and a
fingerprint of what it holds. Whoever reads such a checkpoint reads its base with it, which may have a base of
its own; another base in the same place is refused.
"""

import concurrent.futures
import dataclasses
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from llmrec_jax.training.checkpoint_layouts import (
    COPY_AGAIN,
    PARAMETERS,
    CheckpointError,
    StoredTree,
    open_checkpoint,
    reading,
)
from llmrec_jax.training.stored_arrays import Folder, ReadableArray

BASE = 'base'
# Where Orbax puts what it writes as JSON.
RECORD = f'{BASE}/metadata'
# What of each axis of an array counts: an array is another when its first corner is.
CORNER = 64
ARRAYS_AT_ONCE = 4


@dataclasses.dataclass(frozen=True)
class Base:
    """The checkpoint that frozen parameters are read from.

    Attributes:
      checkpoint: its address.
      fingerprint: of what it holds, see `fingerprint`.
    """

    checkpoint: str
    fingerprint: str

    @classmethod
    def of(cls, checkpoint: str | os.PathLike) -> 'Base':
        """The base that a checkpoint is.

        Raises:
          CheckpointError: when it is not there or damaged.
        """
        tree = open_whole(checkpoint)
        return cls(tree.path, fingerprint(tree))

    def seen_from(self, checkpoint: pathlib.Path) -> dict[str, str]:
        """What is recorded in a checkpoint."""
        record = dataclasses.asdict(self)
        if '://' not in self.checkpoint:
            record['relative'] = os.path.relpath(self.checkpoint, checkpoint)
        return record

    def check(self, checkpoint: str | os.PathLike, record: Mapping[str, Any] | None) -> None:
        """Checks that a checkpoint was trained on this base.

        Args:
          checkpoint: which.
          record: what it says of its base; None where it has none.

        Raises:
          CheckpointError: when it was not.
        """
        if record is None:
            raise CheckpointError(
                f'{checkpoint} was trained without frozen parameters, and this run reads some from '
                f'{self.checkpoint}; use another workdir'
            )
        if self.fingerprint != record['fingerprint']:
            raise CheckpointError(
                f'{checkpoint} was trained on another base than {self.checkpoint} holds (fingerprint '
                f'{record["fingerprint"][:12]} there, {self.fingerprint[:12]} here); put back the base that '
                'it was trained on, or train in another workdir'
            )


def fingerprint(tree: StoredTree) -> str:
    """Digest of the parameters' names, shapes and types, and of a corner of each."""

    def corner(array: ReadableArray) -> bytes:
        return np.ascontiguousarray(
            array.read(tuple(slice(0, min(size, CORNER)) for size in array.shape))
        ).tobytes()

    arrays = {name: array for name, array in sorted(tree.arrays.items()) if name.startswith(PARAMETERS)}
    digest = hashlib.sha256()
    with reading(tree.path, COPY_AGAIN), concurrent.futures.ThreadPoolExecutor(ARRAYS_AT_ONCE) as pool:
        for (name, array), content in zip(arrays.items(), pool.map(corner, arrays.values()), strict=True):
            digest.update(f'{name} {array.shape} {array.dtype}\n'.encode())
            digest.update(content)
    return digest.hexdigest()


def open_whole(checkpoint: str | os.PathLike) -> StoredTree:
    """Opens the parameters of a checkpoint, those of its base among them.

    Raises:
      CheckpointError: when it or its base is not there or damaged, or its base is another than it was.
    """
    tree = open_checkpoint(checkpoint)
    record = recorded(checkpoint)
    if record is None:
        return tree
    where = _where(record, pathlib.Path(tree.path))
    try:
        base = open_whole(where)
    except CheckpointError as error:
        raise CheckpointError(
            f'{tree.path} holds adapters alone, and the parameters that they adapt cannot be read: {error}'
        ) from error
    Base(base.path, fingerprint(base)).check(tree.path, record)
    return dataclasses.replace(tree, arrays={**base.arrays, **tree.arrays})


def recorded(checkpoint: str | os.PathLike) -> dict[str, Any] | None:
    """What a checkpoint says of its base; None where it has none.

    Raises:
      CheckpointError: when that is damaged.
    """
    folder = Folder(checkpoint)
    with reading(folder.path, COPY_AGAIN):
        content = folder.read(RECORD)
        if content is None:
            return None
        record = json.loads(content)
        return {'checkpoint': str(record['checkpoint']), 'fingerprint': str(record['fingerprint'])} | record


def _where(record: dict[str, Any], checkpoint: pathlib.Path) -> str:
    if 'relative' in record and not os.path.exists(record['checkpoint']):
        beside = os.path.normpath(checkpoint / record['relative'])
        if os.path.exists(beside):
            return beside
    return record['checkpoint']
