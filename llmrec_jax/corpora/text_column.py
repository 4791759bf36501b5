"""A column of texts that Arrow holds: a sequence of `str` that costs its bytes, not a Python object a row.

    titles = TextColumn.of(['Desk lamp', 'Red pen', 'Desk lamp'])
    titles[0], titles == ['Desk lamp', 'Red pen', 'Desk lamp'], titles.take(rows)
    distinct, codes = titles.encode()  # ['Desk lamp', 'Red pen'] and [0, 1, 0]

A row becomes a Python object where it is looked at.
"""

import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np
import pyarrow as pa
from jaxtyping import Int

# Rows that become Python objects at once where a column is gone through.
CHUNK = 1 << 16


class TextColumn(Sequence[str]):
    """Texts in a row each; it never changes.

    Rows either hold their texts one after the other, or are numbers that point into distinct texts, as ids
    of users and items do, which come again and again. A text that all rows share costs nothing a row.
    """

    __slots__ = ('_codes', '_values')

    def __init__(self, values: pa.LargeStringArray, codes: Int[np.ndarray, 'rows'] | None = None):
        """Takes Arrow's array as it is; `of`, `from_codes`, `constant` and `from_arrow` make columns.

        Args:
          values: texts, none of them null.
          codes: of each row, the place of its text in `values`; None where row `i` is `values[i]`.
        """
        self._values, self._codes = values, codes

    @classmethod
    def of(cls, texts: Iterable) -> 'TextColumn':
        """The column of these texts; a column is given back as it is.

        Raises:
          ValueError: naming the row of what is no text, or holds a lone surrogate, which UTF-8 cannot spell.
        """
        if isinstance(texts, TextColumn):
            return texts
        texts = texts if isinstance(texts, list) else list(texts)
        if set(map(type, texts)) <= {str}:
            try:
                return cls(pa.array(texts, pa.large_string()))
            except UnicodeEncodeError:
                pass
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise ValueError(f'row {row} of a column of texts is {text!r}; expected a str')
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise ValueError(
                    f'row {row} of a column of texts, {text!r}, cannot be written in UTF-8 ({error.reason}); '
                    "replace what cannot, as text.encode('utf-8', 'replace').decode() does"
                ) from error
        return cls(pa.array([str(text) for text in texts], pa.large_string()))

    @classmethod
    def constant(cls, text: str, rows: int) -> 'TextColumn':
        """So many rows of one text, for next to nothing."""
        return cls.of([text])._with_codes(np.broadcast_to(np.int32(0), rows))

    @classmethod
    def from_codes(cls, values: Iterable, codes: Int[np.ndarray, 'rows']) -> 'TextColumn':
        """The column whose row `i` is `values[codes[i]]`.

        Raises:
          IndexError: when a code points to no value.
        """
        return cls.of(values).take(np.asarray(codes))

    @classmethod
    def from_arrow(cls, array: pa.Array | pa.ChunkedArray) -> 'TextColumn':
        """The column of an Arrow array of strings, dictionary-encoded or not.

        Raises:
          ValueError: when a row is null.
          pyarrow.ArrowInvalid: when the array is not of strings.
        """
        coded = pa.types.is_dictionary(array.type)
        if isinstance(array, pa.ChunkedArray):
            # Made large before they are joined: more than 2 GB of texts have no place in a `string` array.
            array = array.unify_dictionaries() if coded else array.cast(pa.large_string())
            array = array.combine_chunks()
        if nulls := array.null_count + (array.dictionary.null_count if coded else 0):
            raise ValueError(f'{nulls} rows of a column of texts are null; expected texts')
        if coded:
            return cls(array.dictionary.cast(pa.large_string()), array.indices.to_numpy())
        return cls(array.cast(pa.large_string()))

    def to_arrow(self) -> pa.LargeStringArray:
        """Arrow's array of the texts, each row for itself."""
        return self._values if self._codes is None else self._values.take(pa.array(self._codes))

    @property
    def is_constant(self) -> bool:
        """Whether all rows are known to be one text without looking at them."""
        return self._codes is not None and len(self._values) == 1

    def __len__(self) -> int:
        return len(self._values if self._codes is None else self._codes)

    @overload
    def __getitem__(self, row: int) -> str: ...

    @overload
    def __getitem__(self, row: slice) -> 'TextColumn': ...

    def __getitem__(self, row):
        """The text of a row, or the column of a slice of them."""
        if isinstance(row, slice):
            if self._codes is not None:
                return self._with_codes(self._codes[row])
            start, stop, step = row.indices(len(self))
            if step == 1:
                return TextColumn(self._values.slice(start, max(stop - start, 0)))
            return self.take(np.arange(start, stop, step))
        place = operator.index(row)
        place += len(self) if place < 0 else 0
        if not 0 <= place < len(self):
            raise IndexError(f'no row {row} in a column of {len(self)} texts')
        return self._values[place if self._codes is None else int(self._codes[place])].as_py()

    def __iter__(self) -> Iterator[str]:
        for part in self.chunks():
            yield from part

    def chunks(self, rows: int = CHUNK) -> Iterator[list[str]]:
        """The texts as lists of at most so many rows, in order."""
        shared = self._codes is not None and len(self._values) <= len(self._codes)
        texts = self._values.to_pylist() if shared else []
        for start in range(0, len(self), rows):
            if shared:
                yield [texts[code] for code in self._codes[start : start + rows].tolist()]
            else:
                yield self[start : start + rows].to_arrow().to_pylist()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, TextColumn):
            return len(self) == len(other) and self.to_arrow().equals(other.to_arrow())
        if isinstance(other, list):
            return len(self) == len(other) and list(self) == other
        return NotImplemented

    __hash__ = None

    def __repr__(self) -> str:
        shown = ', '.join(map(repr, self[:3]))
        return f'TextColumn([{shown}{", ..." if len(self) > 3 else ""}], rows={len(self)})'

    def take(self, rows: Int[np.ndarray, 'chosen']) -> 'TextColumn':
        """The texts at `rows`, in that order; rows that come again share what is in memory.

        Raises:
          IndexError: when there is no such row.
        """
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f'no rows from {rows.min()} to {rows.max()} in a column of {len(self)} texts')
        if self.is_constant:
            return self._with_codes(np.broadcast_to(np.int32(0), len(rows)))
        if self._codes is not None:
            return self._with_codes(self._codes[rows])
        if len(rows) > len(self):
            return self._with_codes(rows.astype(np.int32 if len(self) < 1 << 31 else np.int64))
        return TextColumn(self._values.take(pa.array(rows)))

    def encode(self) -> tuple['TextColumn', Int[np.ndarray, 'rows']]:
        """The distinct texts in the order of their first appearance, and each row's place among them."""
        if self._codes is None:
            encoded = self._values.dictionary_encode()
            return TextColumn(encoded.dictionary), encoded.indices.to_numpy()
        if not len(self._codes):
            return TextColumn(self._values[:0]), np.zeros(0, np.int32)
        if self.is_constant:
            return TextColumn(self._values), self._codes
        # The same text may stand among the values twice, and not every value need have a row.
        values = self._values.dictionary_encode()
        codes = self._codes
        if len(values.dictionary) < len(values):
            codes = values.indices.to_numpy()[codes]
        rows = pa.array(codes).dictionary_encode()
        return TextColumn(values.dictionary.take(rows.dictionary)), rows.indices.to_numpy()

    def _with_codes(self, codes: np.ndarray) -> 'TextColumn':
        return TextColumn(self._values, codes)
