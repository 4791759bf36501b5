"""The workdir of a run: the one class that reads and writes artifacts."""

import contextlib
import os
import pathlib
from collections.abc import Callable, Hashable, Iterator, Set
from typing import Any, TypeVar

from llmrec_jax import files
from llmrec_jax.ownership.gate import found_at
from llmrec_jax.ownership.lock import in_folder
from llmrec_jax.ownership.owner import Owner
from llmrec_jax.runs.artifact import Artifact

T = TypeVar('T')
CONFIG = 'config.gin'
SYSTEM = 'system.json'


class ArtifactError(LookupError):
    """An artifact that is asked for by who does not declare it; a fault of the stage's code."""


class Run:
    """Everything a run made, by artifact.

        run = Run('runs/quickstart')
        run[ITEM_VECTORS]  # read once, then kept in memory

    Attributes:
      root: the workdir.
      goes_on: whether training goes on with what another configuration trained here.
    """

    def __init__(self, root: str | pathlib.Path, *, goes_on: bool = False):
        """Names the workdir; nothing is read or made.

        Raises:
          ValueError: when it is a bucket's, which artifacts cannot be written to.
        """
        files.check_local('WORKDIR', root)
        self.root = pathlib.Path(root)
        self.goes_on = goes_on
        self._content: dict[str, Any] = {}
        self._made: dict[Hashable, Any] = {}
        self._readable: Set[str] | None = None
        self._writable: Set[str] | None = None
        self._fingerprint: str | None = None

    @property
    def fingerprint(self) -> str:
        """Of the stage that is running, by which it knows what a killed run of its own left.

        Raises:
          ArtifactError: when none is.
        """
        if self._fingerprint is None:
            raise ArtifactError('no stage is running, so that there is no fingerprint of one')
        return self._fingerprint

    def worked_on_by(self) -> Owner | None:
        """The other process that works in the workdir and, as far as can be told, lives."""
        found = found_at(in_folder(self.root))
        if found is None or found[0].is_gone or (found[0].is_here and found[0].pid == os.getpid()):
            return None
        return found[0]

    def path(self, artifact: Artifact[Any]) -> pathlib.Path:
        """Where the artifact lies."""
        return self.root / artifact.path

    def has(self, artifact: Artifact[Any]) -> bool:
        """Whether the artifact is there."""
        return self.path(artifact).exists()

    def __getitem__(self, artifact: Artifact[T]) -> T:
        """The artifact's content.

        Raises:
          ArtifactError: within a stage that does not declare that it reads it.
          FileNotFoundError: when it is not there.
          ValueError: when it is damaged.
        """
        if self._readable is not None and artifact.path not in self._readable:
            raise ArtifactError(
                f'{artifact.path} is read by a stage that does not declare it: name it in `reads`, so that '
                'the stage runs again when it changes'
            )
        if artifact.path not in self._content:
            path = self.path(artifact)
            if not path.exists():
                worker = self.worked_on_by()
                if worker is not None:
                    raise FileNotFoundError(
                        f'{path} is not there yet: {worker} works in {self.root}; ask again when it has ended'
                    )
                raise FileNotFoundError(
                    f'{path} is not there: run the stages that make it, with python -m llmrec_jax.run and '
                    'the same gin files'
                )
            self._content[artifact.path] = artifact.load(path)
        return self._content[artifact.path]

    def put(self, artifact: Artifact[T], value: T) -> None:
        """Writes the artifact, whole or not at all.

        Raises:
          ArtifactError: within a stage that does not declare that it writes it.
        """
        if self._writable is not None and artifact.path not in self._writable:
            raise ArtifactError(
                f'{artifact.path} is written by a stage that does not declare it: name it in `writes`'
            )
        assert artifact.save is not None, f'{artifact.path} is filled in place, not put'
        artifact.save(value, self.path(artifact))
        self._content[artifact.path] = value

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gives, made once for all stages of this process, such as restored parameters.

        Args:
          key: tells it from everything else that is made in this process.
          make: makes it.
        """
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    @contextlib.contextmanager
    def within(self, reads: Set[str], writes: Set[str], fingerprint: str) -> Iterator[None]:
        """Holds a stage to what it declares.

        Args:
          reads: paths of artifacts that may be read beside those written.
          writes: paths of artifacts that may be written; what was read of them before is forgotten.
          fingerprint: the stage's.
        """
        self.forget(writes)
        self._readable, self._writable, self._fingerprint = reads | writes, writes, fingerprint
        try:
            yield
        finally:
            self._readable = self._writable = self._fingerprint = None

    def forget(self, paths: Set[str]) -> None:
        """Drops from memory what was read of these artifacts."""
        for path in paths:
            self._content.pop(path, None)
