"""The folder in which the jobs of a pipeline leave what the next ones read: local, or a bucket's."""

import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from apache_beam.io.filesystems import FileSystems

# Parts the name of lines from the number of their file.
_LINES = '.jsonl'


class Workspace:
    """Files by name in one folder, which every worker reaches."""

    def __init__(self, folder: str):
        """Takes a folder's path, or whatever Beam has a file system for (`gs://…`)."""
        self.folder = folder

    def path(self, name: str) -> str:
        """Of a file."""
        return FileSystems.join(self.folder, name)

    def lines_path(self, name: str) -> str:
        """What the names of files of lines begin with, for a job that writes them."""
        return self.path(f'{name}{_LINES}')

    def save_lines(self, name: str, values: Iterable[Any]) -> None:
        """Writes JSON, a value a line, as a job's output is written."""
        with FileSystems.create(self.path(f'{name}{_LINES}-all')) as file:
            for value in values:
                file.write(json.dumps(value).encode() + b'\n')

    def lines(self, name: str) -> Iterator[Any]:
        """What a job or `save_lines` wrote under a name, in no particular order."""
        for path in self.paths(f'{name}{_LINES}'):
            with FileSystems.open(path) as file:
                yield from map(json.loads, file)

    def paths(self, name: str) -> list[str]:
        """The files whose names begin with a name and a dash, sorted."""
        (found,) = FileSystems.match([self.path(f'{name}-*')])
        return sorted(status.path for status in found.metadata_list)

    def save_array(self, name: str, array: np.ndarray) -> None:
        """Writes an array, which `array` reads."""
        with FileSystems.create(self.path(name)) as file:
            np.save(file, array)

    def array(self, name: str) -> np.ndarray:
        """An array that was saved."""
        with FileSystems.open(self.path(name)) as file:
            return np.load(io.BytesIO(file.read()))
