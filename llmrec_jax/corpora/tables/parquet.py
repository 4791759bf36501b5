"""Parquet files, as columns."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from llmrec_jax.corpora.tables.roles import once_each

MAGIC = b'PAR1'


class ParquetFile:
    """One Parquet file.

    Attributes:
      path: of the file.
      names: of its columns.
      types: none: see `DelimitedFile`.
      dropped: none ever: see `DelimitedFile`.
    """

    unit = 'row'
    dropped = 0

    def __init__(self, path: Path):
        """Reads the footer.

        Raises:
          ValueError: when the file is not whole.
        """
        self.path = path
        self.types: dict[str, str] = {}
        try:
            self.names = pyarrow.parquet.read_schema(path).names
        except (pa.ArrowInvalid, OSError) as error:
            self._damaged(error)

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Some columns in their own types.

        Raises:
          ValueError: when the file is damaged, or a column is not in it, or twice.
        """
        if problem := once_each(self.names, columns):
            raise ValueError(f'{self.path}: {problem}; expected each once among {", ".join(self.names)}')
        try:
            with pyarrow.parquet.ParquetFile(self.path) as file:
                return file.read(columns=list(columns)).select(list(columns))
        except (pa.ArrowInvalid, OSError) as error:
            self._damaged(error)

    def line_of(self, record: int) -> int:
        """The row, counted from 1."""
        return record + 1

    def _damaged(self, error: Exception) -> None:
        raise ValueError(f'{self.path}: not a whole Parquet file ({error}); copy it again') from error
