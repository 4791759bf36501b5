"""The bytes of a text file as readers of tables want them: unpacked, in UTF-8, without a byte-order mark.

Compression and encoding are read off the bytes, since files lose and gain suffixes on their way. What is
wrong is found while the bytes pass by, and named with its line.
"""

import codecs
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from llmrec_jax.corpora.raw_files import bad_line

HEAD_BYTES = 1 << 20
_COMPRESSIONS = {b'\x1f\x8b': 'gzip', b'\x28\xb5\x2f\xfd': 'zstd'}
_ARCHIVES = {b'PK\x03\x04': 'zip', b'BZh': 'bzip2', b'\xfd7zXZ': 'xz', b'7z\xbc\xaf': '7z', b'Rar!': 'rar'}
_BLANK_LINES = re.compile(rb'(?:[ \t\r]*\n)*')
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class TextStream:
    """An open text file, which Arrow reads like any file that cannot seek.

    Attributes:
      path: of the file.
      head: its first bytes, as far as they were looked at beforehand; blank lines before them are left out.
      first_line: the line that `head` begins on.
    """

    def __init__(self, path: Path, encoding: str = 'utf-8'):
        """Opens the file.

        Args:
          path: of a plain, gzip or zstd file.
          encoding: of its text; a byte-order mark of UTF-16 stands above it.

        Raises:
          ValueError: when the file is empty or an archive of another kind, and as `read`.
        """
        self.path = path
        self.closed = False
        self._lines = 0
        self._compression, self._source = _opened(path)
        first = self._unpacked(HEAD_BYTES)
        if not first:
            raise ValueError(f'{path} is empty; copy or download it again')
        if first.startswith(_UTF16_MARKS):
            encoding = 'utf-16'
        self._encoding = 'utf-8' if codecs.lookup(encoding).name == 'utf-8' else encoding
        self._decoder = codecs.getincrementaldecoder(self._encoding)()
        self.head = self._clean(first.removeprefix(codecs.BOM_UTF8))
        if not self.head.strip():
            raise ValueError(f'{path} holds nothing but white space; copy or download it again')
        blank = _BLANK_LINES.match(self.head).end()
        self.first_line = 1 + self.head[:blank].count(b'\n')
        self.head = self._waiting = self.head[blank:]

    def read(self, size: int = -1) -> bytes:
        """The next bytes, b'' at the end; at most about `size`.

        Raises:
          ValueError: naming file and line, when the compressed stream is cut short or the text is not in its
            encoding.
        """
        if self._waiting:
            size = len(self._waiting) if size < 0 else size
            given, self._waiting = self._waiting[:size], self._waiting[size:]
            return given
        while packed := self._unpacked(size):
            # A piece may hold no more than half a character.
            if text := self._clean(packed):
                return text
        self._decoded(b'', final=True)
        return b''

    def lines(self) -> Iterator[str]:
        """The lines that are left, each with its end, for readers of lines."""
        rest = b''
        while block := self.read(HEAD_BYTES):
            *whole, rest = (rest + block).split(b'\n')
            yield from (f'{line.decode()}\n' for line in whole)
        if rest:
            yield rest.decode()

    def readable(self) -> bool:
        """See `io.IOBase`."""
        return True

    def seekable(self) -> bool:
        """See `io.IOBase`."""
        return False

    def writable(self) -> bool:
        """See `io.IOBase`."""
        return False

    def close(self) -> None:
        """Closes the file."""
        self.closed = True
        self._source.close()

    def __enter__(self) -> 'TextStream':
        return self

    def __exit__(self, *_):
        self.close()

    def _unpacked(self, size: int) -> bytes:
        try:
            return self._source.read(HEAD_BYTES if size < 0 else size)
        except OSError as error:
            if self._compression is None:
                raise
            raise ValueError(
                f'{self.path}, after line {self._lines}: not a whole {self._compression} file ({error}); '
                'copy or download it again'
            ) from error

    def _clean(self, piece: bytes) -> bytes:
        text = self._decoded(piece)
        # UTF-8 was decoded to check it; half a character at the end of a piece passes as it is.
        clean = piece if self._encoding == 'utf-8' else text.encode()
        self._lines += clean.count(b'\n')
        return clean

    def _decoded(self, piece: bytes, final: bool = False) -> str:
        try:
            return self._decoder.decode(piece, final)
        except UnicodeDecodeError as error:
            # Line ends count alike in what was decoded before the fault.
            before = error.object[: error.start].decode(self._encoding, 'replace').count('\n')
            mend = ' (Tables.encoding names another, e.g. latin-1)'
            bad_line(
                self.path,
                self._lines + before + 1,
                f'bytes that are not {self._encoding} ({error.reason})',
                f'text in {self._encoding}{mend}',
            )


def _opened(path: Path) -> tuple[str | None, pa.NativeFile]:
    """The compression of a file, and the file as a stream of what is packed in it."""
    with path.open('rb') as file:
        start = file.read(8)
    for mark, kind in _ARCHIVES.items():
        if start.startswith(mark):
            raise ValueError(f'{path} is a {kind} archive; unpack it, and name the file that was in it')
    compression = next((kind for mark, kind in _COMPRESSIONS.items() if start.startswith(mark)), None)
    return compression, pa.input_stream(str(path), compression=compression)
