"""Files and pipes of JSON lines that ask: read twice, and their wrong lines kept apart."""

import contextlib
import dataclasses
import io
import json
import logging
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from llmrec_jax import files
from llmrec_jax.corpora.raw_files import decoded_line, json_line, raw_lines, unpacked
from llmrec_jax.corpora.wrong_lines import all_told

LOG = logging.getLogger(__name__)
STANDARD = '-'


# From a file's name, the number of a line and its object to what is asked; a ValueError names both.
Parse = Callable[[str, int, dict[str, Any]], Any]


@dataclasses.dataclass(frozen=True)
class BadLine:
    """A line that asks for nothing that could be answered.

    Attributes:
      line: its number, from 1.
      reason: what is wrong, with the name of the file.
      text: what it says; bytes that are no UTF-8 as `\\xff`.
    """

    line: int
    reason: str
    text: str


def read_lines(stream: Iterable[bytes], name: str, parse: Parse) -> Iterator[Any]:
    """What each line asks for, or its `BadLine`, in order; blank lines ask for nothing.

    Args:
      stream: lines in UTF-8, each a JSON object.
      name: of the file, for messages.
      parse: see `Parse`.

    Raises:
      ValueError: when the stream is a gzip file that is damaged or cut short.
    """
    for number, line in raw_lines(stream, name):
        if not line.strip():
            continue
        try:
            yield parse(name, number, json_line(name, number, decoded_line(name, number, line)))
        except ValueError as error:
            yield BadLine(number, str(error), line.rstrip(b'\r\n').decode('utf-8', 'backslashreplace'))


class AskedFile:
    """The lines of a file, plain or gzip, or of standard input."""

    def __init__(self, file: io.BufferedIOBase, name: str):
        """Takes a file that can be read from its beginning again; `name` is for messages."""
        self._file, self._name = file, name

    @classmethod
    @contextlib.contextmanager
    def opened(cls, path: str) -> Iterator['AskedFile']:
        """The file at `path`; a pipe, or `-` for standard input, is read to its end first."""
        with contextlib.ExitStack() as stack:
            standard = path == STANDARD
            file = sys.stdin.buffer if standard else stack.enter_context(open(path, 'rb'))
            if standard or not file.seekable():
                kept = stack.enter_context(tempfile.TemporaryFile())
                shutil.copyfileobj(file, kept)
                file = kept
            yield cls(file, 'standard input' if standard else path)

    def lines(self, parse: Parse) -> Iterator[Any]:
        """What each line asks for, from the first one on; see `read_lines`."""
        self._file.seek(0)
        return read_lines(unpacked(self._file), self._name, parse)

    def check(self, parse: Parse) -> None:
        """Looks at every line.

        Raises:
          ValueError: with what is wrong with the first bad line, and the numbers of the others.
        """
        bad = {line.line: line.reason for line in self.lines(parse) if isinstance(line, BadLine)}
        if bad:
            raise ValueError(f'{all_told(bad)}; --errors=skip answers the other lines')


class WrongLines:
    """Wrong lines that are left out, and told where anybody is to be told of them."""

    def __init__(self, file: io.BufferedIOBase | None = None):
        """Takes the file that they are written to; None for the log."""
        self._file = file
        self._right = self._wrong = 0
        self._first = ''

    @classmethod
    @contextlib.contextmanager
    def beside(cls, output: str) -> Iterator['WrongLines']:
        """Writes them to `<output>.errors.jsonl`, or to the log where the output is standard."""
        if output == STANDARD:
            yield cls()
        else:
            with written(f'{output}.errors.jsonl') as file:
                yield cls(file)

    def left_out(self, lines: Iterable[Any]) -> Iterator[Any]:
        """The other lines."""
        for line in lines:
            if not isinstance(line, BadLine):
                self._right += 1
                yield line
                continue
            self._wrong += 1
            self._first = self._first or line.reason
            if self._file is None:
                LOG.info('%s; left out', line.reason)
            else:
                self._file.write(json.dumps(dataclasses.asdict(line)).encode() + b'\n')

    def check(self) -> None:
        """Says how many they were.

        Raises:
          ValueError: when no line was right.
        """
        if self._wrong and not self._right:
            raise ValueError(f'no line could be answered: {self._first}')
        if self._wrong:
            LOG.info('%d of %d lines were left out', self._wrong, self._wrong + self._right)


@contextlib.contextmanager
def written(path: str) -> Iterator[io.BufferedIOBase]:
    """Standard output, or a file that appears only when all is written."""
    if path == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with files.written_whole(path) as file:
        yield file
