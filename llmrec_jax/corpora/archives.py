"""Files that are published together: a zip archive, or the directory unpacked from it."""

import dataclasses
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from llmrec_jax.corpora.raw_files import decoded_lines, numbered_lines


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

    def lines(self, member: str, encoding: str) -> Iterator[tuple[int, str]]:
        """Yields (line number from 1, line without its end) of one member.

        Raises:
          ValueError: when the archive is damaged, or the member is empty or not in `encoding`.
        """
        if not self.is_zip:
            yield from numbered_lines(self.path / member, encoding)
            return
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(f'{self.prefix}{member}') as stream:
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
