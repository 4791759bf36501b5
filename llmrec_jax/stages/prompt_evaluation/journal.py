"""What a task has been answered so far, kept batch by batch, so that a killed run asks on from there."""

import json
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

Answer = Mapping[str, Any]


class Journal:
    """A file of JSON lines: first whose answers they are, then the answers of one batch a line."""

    def __init__(self, path: pathlib.Path, owner: str):
        """Keeps the batches of `owner` that are at `path`; whatever else is there is dropped.

        Args:
          path: of the file.
          owner: hash of everything that the answers and their batches depend on.
        """
        self.path = path
        self.done = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        end = self._find_end(owner) if path.exists() else 0
        if end:
            os.truncate(path, end)
        self._file: TextIO = path.open('a' if end else 'w', encoding='utf-8')
        if not end:
            self._write(owner)

    def add(self, answers: Sequence[Answer]) -> None:
        """Keeps the answers of the next batch."""
        self._write(list(answers))
        self.done += 1

    def close(self) -> None:
        """Ends writing."""
        self._file.close()

    def answers(self) -> Iterator[Answer]:
        """All answers so far, in the order in which they came."""
        with self.path.open(encoding='utf-8') as file:
            next(file)
            for line in file:
                yield from json.loads(line)

    def _write(self, content: Any) -> None:
        self._file.write(json.dumps(content, allow_nan=False) + '\n')
        # A kill of this process loses nothing that was flushed.
        self._file.flush()

    def _find_end(self, owner: str) -> int:
        """Where the last whole line of the owner's ends; 0 where the file is another's."""
        content = self.path.read_bytes()
        first, *rest = content.splitlines(keepends=True) or [b'']
        if first != (json.dumps(owner) + '\n').encode():
            return 0
        whole = [line for line in rest if line.endswith(b'\n')]
        self.done = len(whole)
        return len(first) + sum(map(len, whole))
