"""Items and users that a file lists: an id stands for one thing, however often its line comes again."""

import math
from pathlib import Path
from typing import Any, Generic, TypeVar

from llmrec_jax.corpora.raw_files import bad_line

# A named tuple of texts, tuples and numbers.
Record = TypeVar('Record', bound=tuple)


class ListedOnce(Generic[Record]):
    """What a file tells of each id.

    Exact copies of a record count once. Where two lines tell different parts of one thing, both are kept: a
    value is never replaced by an empty one. Two values of one field are a conflict.
    """

    def __init__(self, path: Path, what: str, *, mend: str, keep_first: bool = False):
        """Begins with nothing.

        Args:
          path: of the file, for messages.
          what: an id stands for, for messages: 'product', 'user'.
          mend: what is expected of the file, and how to do without it.
          keep_first: under a conflict take the value of the earlier line, instead of an error.
        """
        self.records: dict[str, Record] = {}
        # How many lines told of something that an earlier one had told of.
        self.repeated = 0
        self._lines: dict[str, int] = {}
        self._path, self._what, self._mend, self._keep_first = path, what, mend, keep_first

    def add(self, number: int, key: str, record: Record) -> None:
        """Takes what line `number` says of `key`.

        Raises:
          ValueError: naming both lines, when it contradicts an earlier one and the first is not to be kept.
        """
        if key not in self.records:
            self.records[key], self._lines[key] = record, number
            return
        self.repeated += 1
        first = self.records[key]
        told = {}
        for field, value in zip(first._fields, record):
            known = getattr(first, field)
            if _is_empty(known):
                told[field] = value
            elif not (_is_empty(value) or known == value or self._keep_first):
                bad_line(
                    self._path,
                    number,
                    f'{self._what} {key!r} has {field} {_shown(value)}, but {_shown(known)} on line '
                    f'{self._lines[key]}',
                    self._mend,
                )
        self.records[key] = first._replace(**told)


def _is_empty(value: Any) -> bool:
    return not value if not isinstance(value, float) else math.isnan(value)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'
