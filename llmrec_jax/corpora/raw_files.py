"""Reading the files that corpora are published in, with errors that name file, line and mending.

Files that are published together are a zip archive, or the directory unpacked from it.
"""

import ast
import contextlib
import dataclasses
import gzip
import hashlib
import io
import json
import os
import time
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

_SETTLED_NS = 2_000_000_000
_SHA256: dict[tuple[int, ...], str] = {}


def existing_file(path: Path, what: str, mend: str) -> Path:
    """`path`, when it is a file.

    Raises:
      FileNotFoundError: naming the path, `what` it should hold and how to `mend` it.
    """
    if not path.is_file():
        raise FileNotFoundError(f'{path} is missing; expected {what}. {mend}')
    return path


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes, in hex.

    A file that has not changed since it was last read by this process is not read again.
    """
    status = os.stat(path)
    version = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if version in _SHA256:
        return _SHA256[version]
    with open(path, 'rb') as file:
        digest = hashlib.file_digest(file, 'sha256').hexdigest()
    # What was written a moment ago may be written again within one tick of the file system's clock.
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _SETTLED_NS:
        _SHA256[version] = digest
    return digest


def bad_line(path: Path | str, line: int, problem: str, expected: str) -> NoReturn:
    """Raises the ValueError that every reader of lines raises."""
    raise ValueError(f'{path}, line {line}: {problem}; expected {expected}')


def numbered_lines(path: Path, encoding: str = 'utf-8') -> Iterator[tuple[int, str]]:
    """Yields (line number from 1, line without its end) of a plain or gzip (`.gz`) text file.

    Raises:
      ValueError: when the file is empty, is no gzip, ends in the middle of the gzip stream, or is not in
        `encoding`.
    """
    with open(path, 'rb') as file:
        stream = gzip.GzipFile(fileobj=file) if path.suffix == '.gz' else file
        yield from decoded_lines(stream, str(path), encoding)


def decoded_lines(stream: Iterable[bytes], path: str, encoding: str) -> Iterator[tuple[int, str]]:
    """Yields (line number from 1, line without its end) of an open file; `path` names it in messages.

    Raises:
      ValueError: as `numbered_lines`.
    """
    number = 0
    try:
        for number, line in enumerate(stream, start=1):
            yield number, line.decode(encoding).rstrip('\r\n')
    except UnicodeDecodeError as error:
        bad_line(path, number, f'bytes that are not {encoding} ({error.reason})', f'text in {encoding}')
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f'{path}, after line {number}: not a whole gzip file ({error}); copy or download it again'
        ) from error
    if number == 0:
        raise ValueError(f'{path} is empty; copy or download it again')


def json_line(path: Path, number: int, text: str, python_literals: bool = False) -> dict[str, Any]:
    """One line's object; `python_literals` also takes a Python dict, the form of Amazon's metadata of 2014.

    Raises:
      ValueError: when the line holds no such object.
    """
    expected = 'one JSON object a line'
    try:
        record = json.loads(text)
    except json.JSONDecodeError as error:
        if not python_literals:
            bad_line(path, number, f'not JSON ({error.msg} at column {error.colno})', expected)
        try:
            record = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            bad_line(
                path,
                number,
                f'neither JSON ({error.msg} at column {error.colno}) nor a Python dict',
                expected,
            )
    if not isinstance(record, dict):
        bad_line(path, number, f'a {type(record).__name__}, not an object', expected)
    return record


def well_formed(text: str) -> str:
    """The text with lone surrogates, which JSON can spell and UTF-8 cannot, replaced by '?'."""
    return text.encode('utf-8', 'replace').decode('utf-8')


@dataclasses.dataclass(frozen=True)
class Archive:
    """Text files that are published together: a zip archive, or the directory that was unpacked from it.

    Attributes:
      path: the archive or the directory.
      members: the files in it that are read.
      prefix: the directory in the zip archive that holds them, '' or ending in '/'.
    """

    path: Path
    members: tuple[str, ...]
    prefix: str = ''

    @property
    def is_zip(self) -> bool:
        """Whether the files lie in a zip archive."""
        return self.path.suffix == '.zip'

    def files(self) -> dict[str, Path]:
        """The files on disk that are read, by name."""
        if self.is_zip:
            return {self.path.name: self.path}
        return {member: self.path / member for member in self.members}

    def path_of(self, member: str) -> Path:
        """Where a member lies, for messages: the path in the archive follows the archive's own."""
        return self.path / f'{self.prefix}{member}'

    @contextlib.contextmanager
    def opened(self, member: str) -> Iterator[io.BufferedIOBase]:
        """The bytes of one member."""
        if not self.is_zip:
            with open(self.path / member, 'rb') as stream:
                yield stream
            return
        with zipfile.ZipFile(self.path) as archive, archive.open(f'{self.prefix}{member}') as stream:
            yield stream

    def lines(self, member: str, encoding: str) -> Iterator[tuple[int, str]]:
        """Yields (line number from 1, line without its end) of one member.

        Raises:
          ValueError: when the archive is damaged, or the member is empty or not in `encoding`.
        """
        if not self.is_zip:
            yield from numbered_lines(self.path / member, encoding)
            return
        try:
            with self.opened(member) as stream:
                yield from decoded_lines(stream, str(self.path_of(member)), encoding)
        except (zipfile.BadZipFile, EOFError, zlib.error) as error:
            raise ValueError(
                f'{self.path_of(member)}: not a whole zip archive ({error}); copy or download it again'
            ) from error


def find_archive(directory: Path, name: str, members: tuple[str, ...], mend: str) -> Archive:
    """The archive `name` in `directory`: as `name.zip`, as the directory `name`, or as the directory itself.

    Raises:
      FileNotFoundError: when none of them holds all members.
      ValueError: when `name.zip` is damaged.
    """
    for unpacked in (directory / name, directory):
        if all((unpacked / member).is_file() for member in members):
            return Archive(unpacked, members)
    path = directory / f'{name}.zip'
    if not path.is_file():
        raise FileNotFoundError(
            f'{directory} has neither {path.name} nor a directory with {", ".join(members)}; {mend}'
        )
    try:
        with zipfile.ZipFile(path) as archive:
            inside = archive.namelist()
    except zipfile.BadZipFile as error:
        raise ValueError(f'{path}: not a whole zip archive ({error}); copy or download it again') from error
    for prefix in (f'{name}/', ''):
        if all(f'{prefix}{member}' in inside for member in members):
            return Archive(path, members, prefix)
    raise FileNotFoundError(f'{path} holds {sorted(inside)}; expected {", ".join(members)}. {mend}')
