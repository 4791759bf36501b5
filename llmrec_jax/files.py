"""Files and folders that appear whole or not at all.

Everything is written beside its place, under a hidden name, and renamed when it is complete. It is brought to
the disk before it is renamed: a file system may keep a new name and lose what was written under it when power
fails, and a run that is started again trusts what it finds by name. A rename that is lost itself leaves what
was there before, which was whole too, so the folder around it is not waited for.
"""

import codecs
import contextlib
import io
import json
import os
import pathlib
import re
import shutil
from collections.abc import Iterator
from typing import BinaryIO, TextIO


@contextlib.contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """An open file for bytes, which is put at `path` on leaving; on an error there is no trace of it.

    Args:
      path: where it goes; folders above it are made. What lies there stays until the new file is complete.

    Raises:
      OSError: naming `path`, when it cannot be written.
    """
    path = pathlib.Path(path)
    with _naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = _beside(path)
        try:
            with beside.open('wb') as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)


@contextlib.contextmanager
def text_written_whole(path: str | os.PathLike) -> Iterator[TextIO]:
    """`written_whole` for text, in UTF-8 and with '\\n' at the end of a line on every machine."""
    with written_whole(path) as file:
        text = io.TextIOWrapper(file, encoding='utf-8', newline='\n')
        yield text
        # Closing would close the file below, whose writer has yet to bring it to the disk.
        text.detach()


@contextlib.contextmanager
def folder_written_whole(directory: str | os.PathLike) -> Iterator[pathlib.Path]:
    """An empty folder to fill, which takes the place of `directory` on leaving; on an error it is removed.

    Args:
      directory: where it goes. What lies there is removed, but not before the new folder is complete.

    Raises:
      OSError: naming `directory`, when it cannot be written.
    """
    # '.' has no name to put another beside.
    directory = pathlib.Path(os.path.abspath(directory))
    with _naming(directory):
        beside = _beside(directory)
        shutil.rmtree(beside, ignore_errors=True)
        try:
            beside.mkdir(parents=True)
            yield beside
            replace_folder(beside, directory)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def replace_folder(complete: pathlib.Path, directory: pathlib.Path) -> None:
    """Puts `complete` in the place of `directory`, which is gone only once that is done.

    A kill between the two renames leaves the former folder as `.<name>.previous`.

    Raises:
      OSError: when either cannot be moved.
    """
    for file in sorted(complete.rglob('*')):
        if file.is_file():
            _bring_to_disk(file)
    previous = directory.with_name(f'.{directory.name}.previous')
    shutil.rmtree(previous, ignore_errors=True)
    if directory.exists():
        os.replace(directory, previous)
    os.replace(complete, directory)
    shutil.rmtree(previous, ignore_errors=True)


def check_local(name: str, path: str | os.PathLike) -> None:
    """Raises a ValueError that names the setting, unless `path` is one of a file system."""
    # `pathlib` makes one slash of the two.
    if re.match(r'[A-Za-z][\w+.-]*:/', os.fspath(path)):
        raise ValueError(
            f'{name}={path}: files are written to a file system; mount the bucket, and name the folder'
        )


def read_text(path: str | os.PathLike) -> str:
    """The text of a file in UTF-8, whatever the machine's own encoding is, without a byte-order mark.

    Lines end with '\\n', as those of a file that is opened for text.

    Raises:
      ValueError: naming file and line, when it is in another encoding.
      OSError: when it cannot be read.
    """
    content = pathlib.Path(path).read_bytes()
    try:
        text = content.removeprefix(codecs.BOM_UTF8).decode('utf-8')
        return io.StringIO(text, newline=None).read()
    except UnicodeDecodeError as error:
        utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        line = 1 + error.object.count(b'\n', 0, error.start)
        found = 'UTF-16' if utf_16 else f'bytes that are not UTF-8 ({error.reason})'
        raise ValueError(f'{path}, line {line}: {found}; save it as UTF-8') from error


def write_bytes(path: str | os.PathLike, content: bytes) -> None:
    """Writes `content` whole or not at all; raises as `written_whole`."""
    with written_whole(path) as file:
        file.write(content)


def write_text(path: str | os.PathLike, content: str) -> None:
    """Writes `content` in UTF-8, whole or not at all; raises as `written_whole`."""
    write_bytes(path, content.encode())


def write_json(path: str | os.PathLike, content: object) -> None:
    """Writes `content` as JSON, its keys in their order, whole or not at all.

    Raises:
      ValueError: naming `path`, when JSON cannot say it: NaN, an infinity, an object of another kind.
      OSError: as `written_whole`.
    """
    try:
        text = json.dumps(content, indent=2, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f'{path} cannot be written as JSON: {error}') from error
    write_text(path, text + '\n')


def _beside(path: pathlib.Path) -> pathlib.Path:
    # The process's number keeps two processes that write the same file from writing into one another's.
    return path.with_name(f'.{path.name}.{os.getpid()}.partial')


def _bring_to_disk(file: pathlib.Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _naming(path: pathlib.Path) -> Iterator[None]:
    """Lets errors of writing name `path`, where the system names the file beside it or none at all."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            named = pathlib.Path(os.fsdecode(error.filename))
            ours = _beside(path) in (named, *named.parents)
        else:
            # A full or a failing disk; what breaks off a connection is of a class below.
            ours = type(error) is OSError
        if not ours:
            raise
        if error.errno is None:
            raise OSError(f'{path} cannot be written: {error}') from error
        raise OSError(error.errno, f'cannot be written: {os.strerror(error.errno)}', str(path)) from error
