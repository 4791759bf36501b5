"""Typed places in a workdir: what stages write there and others read."""

import dataclasses
import json
import pathlib
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np

from llmrec_jax import files

T = TypeVar('T')


@dataclasses.dataclass(frozen=True)
class Artifact(Generic[T]):
    """A file or folder of a workdir, and how its content is kept there.

        ITEM_VECTORS = Artifact('item_vectors.npy', load=np.load, save=save_array)

    Attributes:
      path: relative to the workdir; it is the artifact's identity.
      load: reads the content; raises an error that names the file where it is absent or damaged.
      save: writes the content, whole or not at all; None where a stage fills the place itself, as training
        does with its checkpoints.
    """

    path: str
    load: Callable[[pathlib.Path], T] = dataclasses.field(compare=False)
    save: Callable[[T, pathlib.Path], None] | None = dataclasses.field(default=None, compare=False)

    def __post_init__(self):
        if pathlib.PurePosixPath(self.path).is_absolute() or '..' in pathlib.PurePosixPath(self.path).parts:
            raise ValueError(f'Artifact.path={self.path!r} must lie in the workdir')


def json_artifact(path: str) -> Artifact[Any]:
    """An artifact of plain JSON values."""
    return Artifact(path, load=_load_json, save=lambda value, place: files.write_json(place, value))


def array_artifact(path: str) -> Artifact[np.ndarray]:
    """An artifact of one array, in NumPy's `.npy` format."""
    return Artifact(path, load=np.load, save=_save_array)


def place(path: str) -> Artifact[pathlib.Path]:
    """An artifact that the stage fills itself; it is read as a path."""
    return Artifact(path, load=lambda found: found)


def _load_json(path: pathlib.Path) -> Any:
    try:
        return json.loads(files.read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f'{path} is damaged ({error}); delete it, and its stage runs again') from error


def _save_array(value: np.ndarray, path: pathlib.Path) -> None:
    with files.written_whole(path) as file:
        np.save(file, value)
