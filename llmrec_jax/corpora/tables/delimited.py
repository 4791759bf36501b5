"""CSV, TSV and RecBole's atomic files: fields between delimiters, one record a line, as columns of text."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from llmrec_jax.corpora.raw_files import bad_line
from llmrec_jax.corpora.tables.quotes import QuoteCheck, records
from llmrec_jax.corpora.tables.roles import once_each
from llmrec_jax.corpora.tables.text_stream import TextStream

DELIMITERS = (',', '\t', ';', '|')
# Suffixes of files whose fields are parted by tabs; RecBole's are three of them.
_TABBED = ('.tsv', '.tab', '.inter', '.item', '.user')
# 'user_id:token', the header of RecBole's atomic files.
_TYPED = re.compile(r'(.+):(token|token_seq|float|float_seq)')


@dataclasses.dataclass(frozen=True)
class Dialect:
    """How delimited files are written.

    Attributes:
      delimiter: None for a tab where the name says so, else the one of `DELIMITERS` that is most frequent in
        the first line.
      quote: '' takes quotes as they are.
      encoding: of the text.
      header: names of the columns of files that have no header.
      drop_bad_rows: leave out records with another number of fields than the header has.
    """

    delimiter: str | None = None
    quote: str = '"'
    encoding: str = 'utf-8'
    header: tuple[str, ...] = ()
    drop_bad_rows: bool = False


class DelimitedFile:
    """One delimited file.

    Attributes:
      path: of the file.
      names: of its columns, without RecBole's types.
      types: RecBole's types by name, where the header has them.
      dropped: how many records the last `read` left out.
    """

    unit = 'line'

    def __init__(self, path: Path, stream: TextStream, dialect: Dialect):
        self.path = path
        self.dropped = 0
        self._dialect = dialect
        first = stream.head.decode(errors='ignore').lstrip('\r\n')
        self.delimiter = dialect.delimiter or _delimiter(path, first, dialect.quote)
        _, given = next(self._records(), (0, []))
        if not given:
            raise ValueError(f'{path} has no header; copy or download it again')
        header = [name.strip() for name in (dialect.header or given)]
        if dialect.header and len(header) != len(given):
            bad_line(
                path, 1, f'{len(given)} fields', f'the {len(header)} that are named: {", ".join(header)}'
            )
        typed = [_TYPED.fullmatch(name) for name in header]
        self.types: dict[str, str] = {}
        if all(typed):
            self.types = {match[1]: match[2] for match in typed}
            header = [match[1] for match in typed]
        self.names = header

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Some columns as text, '' where a field is empty.

        Raises:
          ValueError: naming file and line, when a record has another number of fields than the header, a
            quote is out of place, or bytes cannot be decoded; and when a column is missing or there twice.
        """
        if problem := once_each(self.names, columns):
            bad_line(self.path, 1, problem, f'each once among {", ".join(self.names)}')
        self.dropped = 0
        check = QuoteCheck(self.delimiter, self._dialect.quote) if self._dialect.quote else None
        with TextStream(self.path, self._dialect.encoding) as stream:
            try:
                table = self._parsed(_Watched(stream, check), columns)
            except pa.ArrowInvalid as error:
                self._explain(error)
        if check and not check.ends_in_order():
            # Raises where a quote is out of place.
            for _ in self._records():
                pass
        return table

    def line_of(self, record: int) -> int:
        """The line on which a record of `read` begins."""
        found = -1 if self._dialect.header else -2
        for line, fields in self._records():
            found += len(fields) == len(self.names) or not self._dialect.drop_bad_rows
            if found == record:
                return line
        raise AssertionError(f'{self.path} has no record {record}')

    def _parsed(self, stream: '_Watched', columns: Sequence[str]) -> pa.Table:
        # Names in the header may be padded or typed, so that Arrow takes them from here.
        names = [str(place) for place in range(len(self.names))]
        chosen = [str(self.names.index(name)) for name in columns]
        csv_file = pa.PythonFile(stream, mode='r')
        table = pyarrow.csv.read_csv(
            csv_file,
            read_options=pyarrow.csv.ReadOptions(
                column_names=names, skip_rows_after_names=0 if self._dialect.header else 1, block_size=1 << 22
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=self.delimiter,
                quote_char=self._dialect.quote or False,
                newlines_in_values=bool(self._dialect.quote),
                invalid_row_handler=self._judge,
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                # The stream has checked it.
                check_utf8=False,
                column_types=dict.fromkeys(chosen, pa.string()),
                include_columns=chosen,
                strings_can_be_null=False,
            ),
        )
        return table.rename_columns(list(columns))

    def _judge(self, row: pyarrow.csv.InvalidRow) -> str:
        if not row.text.strip(f' \t\r\n{self.delimiter}{self._dialect.quote}'):
            return 'skip'
        self.dropped += self._dialect.drop_bad_rows
        return 'skip' if self._dialect.drop_bad_rows else 'error'

    def _explain(self, error: pa.ArrowInvalid) -> None:
        expected = len(self.names)
        for line, fields in self._records():
            if len(fields) != expected:
                bad_line(
                    self.path,
                    line,
                    f'{len(fields)} fields',
                    f'{expected}: {", ".join(self.names)} (Tables.bad_rows = "drop" leaves such rows out)',
                )
        if all(place == 0 for place, _ in enumerate(self._records())):
            raise ValueError(f'{self.path} has a header and no rows; copy or download it again') from error
        raise ValueError(f'{self.path}: {error}; expected {expected} fields a row') from error

    def _records(self):
        with TextStream(self.path, self._dialect.encoding) as stream:
            yield from records(stream, self.delimiter, self._dialect.quote)


class _Watched:
    """A stream whose bytes a `QuoteCheck` sees as Arrow reads them."""

    def __init__(self, stream: TextStream, check: QuoteCheck | None):
        self._stream, self._check = stream, check
        self.readable, self.seekable, self.writable = stream.readable, stream.seekable, stream.writable
        self.close = stream.close

    @property
    def closed(self) -> bool:
        return self._stream.closed

    def read(self, size: int = -1) -> bytes:
        piece = self._stream.read(size)
        if self._check:
            self._check.watch(piece)
        return piece


def _delimiter(path: Path, first: str, quote: str) -> str:
    if set(_TABBED) & set(path.suffixes):
        return '\t'
    line = first.splitlines()[0] if first else ''
    outside = re.sub(f'{quote}[^{quote}]*{quote}', '', line) if quote else line
    return max(DELIMITERS, key=outside.count)
