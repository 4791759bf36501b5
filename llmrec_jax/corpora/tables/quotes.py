"""Are the quotes of a delimited file in order? A stray one would swallow rows up to the next.

Where every quote stands beside a delimiter, a line's end or another quote, as in files that programs write,
this is seen from the bytes around the quotes alone. Otherwise a strict reader judges the file by records.
"""

import csv
import sys
from collections.abc import Iterator

import numpy as np

from llmrec_jax.corpora.raw_files import bad_line
from llmrec_jax.corpora.tables.text_stream import TextStream


class QuoteCheck:
    """Watches the bytes of a delimited file as they are read.

    Attributes:
      in_order: whether every quote so far stands where a field begins or ends.
    """

    def __init__(self, delimiter: str, quote: str):
        self._quote = ord(quote)
        self._beside = np.frombuffer(f'{delimiter}\n\r{quote}'.encode(), np.uint8)
        self._inside = 0
        # A file begins as a line does.
        self._last = ord('\n')
        self.in_order = True

    def watch(self, piece: bytes) -> None:
        """Takes the next bytes, of any number."""
        if not piece or not self.in_order:
            return
        codes = np.frombuffer(piece, np.uint8)
        # The quote at the end of the piece before waits for its neighbour.
        waiting = self._last == self._quote and not self._inside
        if waiting and codes[0] not in self._beside:
            self.in_order = False
        at = np.flatnonzero(codes == self._quote)
        if len(at):
            opens = (np.arange(len(at)) + self._inside) % 2 == 0
            before = np.where(at > 0, codes[at - 1], self._last)
            after = np.where(at + 1 < len(codes), codes[np.minimum(at + 1, len(codes) - 1)], self._quote)
            fits = np.isin(np.where(opens, before, after), self._beside)
            self.in_order &= bool(fits.all())
            self._inside = (self._inside + len(at)) % 2
        self._last = int(codes[-1])

    def ends_in_order(self) -> bool:
        """Whether that held of the whole file, and no quote is left open."""
        return self.in_order and not self._inside


def records(stream: TextStream, delimiter: str, quote: str) -> Iterator[tuple[int, list[str]]]:
    """Yields (line at which it begins, fields) of every record that is not blank, the header's too.

    Raises:
      ValueError: naming file and line, when a quote is out of place.
    """
    # Descriptions may be longer than the limit that Python sets by default.
    csv.field_size_limit(sys.maxsize)
    quoting = {'quotechar': quote} if quote else {'quoting': csv.QUOTE_NONE}
    reader = csv.reader(stream.lines(), delimiter=delimiter, strict=True, **quoting)
    line, width = stream.first_line, 0
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            bad_line(
                stream.path,
                line,
                f'a record that is not in order ({error})',
                'quotes around whole fields, two for one within (Tables.quote = "" takes them as they are)',
            )
        width = width or len(fields)
        # Of blank records those that are as wide as the header count.
        if ''.join(fields).strip() or len(fields) == width > 1:
            yield line, fields
        line = stream.first_line + reader.line_num
