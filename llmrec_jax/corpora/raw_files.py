"""Reading the files that corpora are published in, with errors that name file, line and mending.

Files that are published together are a zip archive, or the directory unpacked from it.
"""

import ast
import codecs
import contextlib
import csv
import dataclasses
import gzip
import hashlib
import io
import json
import os
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NoReturn

_CHUNK = 1 << 20
# The encoding of files that were published in Latin-1 and that people save again as UTF-8. Latin-1 text with
# a letter beyond ASCII is next to never valid UTF-8.
UTF8_OR_LATIN1 = 'utf-8, else latin-1'
# What reading a damaged or unusual archive raises: zipfile has no exception of its own for members that are
# encrypted (RuntimeError), packed in a way that it does not know (NotImplementedError, a RuntimeError), or
# said to lie where no file goes (OSError).
_DAMAGE = (zipfile.BadZipFile, EOFError, zlib.error, RuntimeError, OSError, struct.error)
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

    A byte-order mark at the start of a line is no part of it: editors write one, and `cat` of such files puts
    it between lines.

    Args:
      path: of the file.
      encoding: a codec's name, or `UTF8_OR_LATIN1`.

    Raises:
      ValueError: when the file is empty, is no gzip, ends in the middle of the gzip stream, or is not in
        `encoding`.
    """
    encoding = _encoding_found(lambda: _bytes_of(path), encoding)
    with _bytes_of(path) as stream:
        yield from decoded_lines(stream, str(path), encoding)


def _bytes_of(path: Path) -> io.BufferedIOBase:
    return gzip.open(path) if path.suffix == '.gz' else open(path, 'rb')


def _encoding_found(opened: Callable[[], AbstractContextManager[io.BufferedIOBase]], encoding: str) -> str:
    """`encoding`, or under `UTF8_OR_LATIN1` the one of the two that the bytes are in."""
    if encoding != UTF8_OR_LATIN1:
        return encoding
    decoder = codecs.getincrementaldecoder('utf-8')()
    try:
        with opened() as stream:
            while chunk := stream.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b'', final=True)
    except UnicodeDecodeError:
        return 'latin-1'
    except _DAMAGE:
        # Whoever reads the lines says so, with the number of the line.
        pass
    return 'utf-8'


def decoded_lines(stream: Iterable[bytes], path: str, encoding: str) -> Iterator[tuple[int, str]]:
    """Yields (line number from 1, line without its end) of an open file; `path` names it in messages.

    Raises:
      ValueError: as `numbered_lines`.
    """
    number = 0
    try:
        for number, line in enumerate(stream, start=1):
            yield number, line.removeprefix(codecs.BOM_UTF8).decode(encoding).rstrip('\r\n')
    except UnicodeDecodeError as error:
        bad_line(
            path,
            number,
            f'bytes that are not {encoding} ({error.reason})',
            f'text in {encoding}; save the file in that encoding',
        )
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        if not isinstance(stream, gzip.GzipFile):
            raise
        raise ValueError(
            f'{path}, after line {number}: not a whole gzip file ({error}); copy or download it again'
        ) from error
    if number == 0:
        raise ValueError(f'{path} is empty; copy or download it again')


def filled_lines(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """The lines that hold more than white space."""
    return ((number, line) for number, line in lines if line.strip())


def json_records(path: Path, python_literals: bool = False) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields (line number from 1, object) of a file with one object a line; blank lines are passed over.

    Args:
      path: of the file, plain or gzip.
      python_literals: as for `json_line`.

    Raises:
      ValueError: as `numbered_lines` and `json_line`.
    """
    for number, line in filled_lines(numbered_lines(path)):
        yield number, json_line(path, number, line, python_literals)


def csv_rows(lines: Iterable[tuple[int, str]], path: Path, expected: str) -> Iterator[tuple[int, list[str]]]:
    """Yields (line number of its first line, fields) of every row of CSV; blank rows are passed over.

    Args:
      lines: of the file, numbered; a quoted field may go over several.
      path: of the file, for messages.
      expected: the fields of a row, for messages.

    Raises:
      ValueError: naming file and line, when a row is no CSV.
    """
    last = 0

    def texts() -> Iterator[str]:
        nonlocal last
        for number, line in lines:
            last = number
            yield f'{line}\n'

    rows = csv.reader(texts(), strict=True)
    while True:
        first = last + 1
        try:
            fields = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            bad_line(path, first, f'not CSV ({error})', expected)
        if any(field.strip() for field in fields):
            yield first, fields


def json_line(path: Path, number: int, text: str, python_literals: bool = False) -> dict[str, Any]:
    """One line's object; `python_literals` also takes a Python dict, the form of Amazon's metadata of 2014.

    Raises:
      ValueError: when the line holds no such object.
    """
    expected = 'one JSON object a line'
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        # Numbers of thousands of digits and brackets nested as deep are no JSON for Python either.
        place = isinstance(error, json.JSONDecodeError)
        problem = f'{error.msg} at column {error.colno}' if place else str(error)
        if not python_literals:
            bad_line(path, number, f'not JSON ({problem})', expected)
        try:
            record = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            bad_line(path, number, f'neither JSON ({problem}) nor a Python dict', expected)
    if not isinstance(record, dict):
        bad_line(path, number, f'a {type(record).__name__}, not an object', expected)
    return record


def finite(text: str) -> float:
    """The number that a text spells.

    Raises:
      ValueError: when it spells none, or none that float32 holds.
    """
    number = float(text)
    if not is_number(number):
        raise ValueError(f'{text!r} is no number that float32 holds')
    return number


def whole(text: str) -> int:
    """The whole number that a text spells, where int64 holds it.

    Raises:
      ValueError: when it spells none, or none that int64 holds.
    """
    number = int(text)
    if not -(2**63) <= number < 2**63:
        raise ValueError(f'{text!r} has no place in 64 bits')
    return number


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a number that float32 holds."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 3e38


def is_whole(value: Any) -> bool:
    """Whether a value of JSON is a whole number that int64 holds."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def first_file(directory: Path, names: tuple[str, ...], mend: str) -> Path:
    """The first of the files that is in a directory.

    Raises:
      FileNotFoundError: when none is, naming them all and how to `mend` it.
    """
    for name in names:
        if (directory / name).is_file():
            return directory / name
    raise FileNotFoundError(f'{directory} has no {" or ".join(names)}; {mend}')


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
        """The bytes of one member.

        Raises:
          ValueError: when the archive is damaged, or packed in a way that Python does not read.
        """
        if not self.is_zip:
            with open(self.path / member, 'rb') as stream:
                yield stream
            return
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(f'{self.prefix}{member}') as stream:
                yield stream
        except _DAMAGE as error:
            raise ValueError(
                f'{self.path_of(member)}: not a whole zip archive ({error}); copy or download it again'
            ) from error

    def lines(self, member: str, encoding: str) -> Iterator[tuple[int, str]]:
        """Yields (line number from 1, line without its end) of one member; see `numbered_lines`.

        Raises:
          ValueError: when the archive is damaged, or the member is empty or not in `encoding`.
        """
        if not self.is_zip:
            yield from numbered_lines(self.path / member, encoding)
            return
        encoding = _encoding_found(lambda: self.opened(member), encoding)
        with self.opened(member) as stream:
            yield from decoded_lines(stream, str(self.path_of(member)), encoding)


def find_archive(
    directory: Path, name: str, members: tuple[str, ...], mend: str, inside: str | None = None
) -> Archive:
    """An archive in `directory`: as `name.zip`, as the directory in it, or as `directory` itself.

    Args:
      directory: where to look.
      name: of the archive.
      members: the files that it must hold.
      mend: what to do when there is none, for messages.
      inside: the directory in it, unless it has the archive's name.

    Raises:
      FileNotFoundError: when none of them holds all members.
      ValueError: when `name.zip` is damaged.
    """
    inside = name if inside is None else inside
    for unpacked in (directory / inside, directory):
        if all((unpacked / member).is_file() for member in members):
            return Archive(unpacked, members)
    path = directory / f'{name}.zip'
    if not path.is_file():
        raise FileNotFoundError(
            f'{directory} has neither {path.name} nor a directory with {", ".join(members)}; {mend}'
        )
    try:
        with zipfile.ZipFile(path) as archive:
            held = archive.namelist()
    except _DAMAGE as error:
        raise ValueError(f'{path}: not a whole zip archive ({error}); copy or download it again') from error
    for prefix in (f'{inside}/', ''):
        if all(f'{prefix}{member}' in held for member in members):
            return Archive(path, members, prefix)
    raise FileNotFoundError(f'{path} holds {sorted(held)}; expected {", ".join(members)}. {mend}')
