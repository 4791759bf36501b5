"""Columns of the few kinds that tables are made of, and what they hold as ids, numbers and texts.

A column is plain if it is of text, of 64-bit integers or floats, of times, or of lists of texts.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Int

from llmrec_jax.corpora.text_column import TextColumn

TIME = pa.timestamp('us')
_TEXTS = pa.list_(pa.string())
# White space at the ends of a cell, byte-order marks within joined files among it.
_NUMBER = r'^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$'


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column as one of the plain kinds.

    Raises:
      TypeError: when it is of objects, maps or the like.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return plain(column.cast(kind.value_type))
    if pa.types.is_floating(kind):
        return column.cast(pa.float64())
    if pa.types.is_integer(kind):
        return column.cast(pa.string() if kind == pa.uint64() else pa.int64())
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        # Of nanoseconds the microseconds are kept.
        return column.cast(pa.timestamp('us', getattr(kind, 'tz', None)), safe=False).cast(TIME)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _first_lists(column) if pa.types.is_nested(kind.value_type) else _listed(column)
    if pa.types.is_nested(kind):
        raise TypeError(f'a column of {kind}; expected texts, numbers, times or lists of texts')
    return column.cast(pa.string())


def joined(columns: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    """The columns one after the other; as texts where they are of different kinds."""
    kinds = {column.type for column in columns if column.null_count < len(column)} or {columns[0].type}
    if len(kinds) > 1:
        columns = [texts(column) for column in columns]
    else:
        (kind,) = kinds
        # A part without a value has no kind.
        columns = [
            column if column.type == kind else pa.chunked_array([pa.nulls(len(column), kind)])
            for column in columns
        ]
    return pa.chunked_array([chunk for column in columns for chunk in column.chunks], columns[0].type)


def texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A plain column as texts without white space at their ends, '' where there is nothing.

    Floats that are whole are written as integers; entries of a list are parted by commas.
    """
    if pa.types.is_list(column.type):
        column = pc.binary_join(column, ', ')
    elif pa.types.is_floating(column.type):
        whole = pc.and_(pc.equal(column, pc.round(column)), pc.less(pc.abs(column), 2.0**53))
        integers = pc.if_else(whole, column, 0.0).cast(pa.int64()).cast(pa.string())
        written = pc.if_else(whole, integers, column.cast(pa.string()))
        column = pc.if_else(pc.is_nan(column), '', written)
    return pc.fill_null(pc.utf8_trim_whitespace(column.cast(pa.string())), '')


@dataclasses.dataclass(frozen=True)
class Ids:
    """A column of ids.

    Attributes:
      values: the distinct ids.
      codes: of each row, the place of its id in `values`; -1 where there is none.
      like_floats: whether all that were known were texts like '12.0'; None where none was known.
    """

    values: pa.Array
    codes: Int[np.ndarray, 'rows']
    like_floats: bool | None

    @property
    def missing(self) -> Bool[np.ndarray, 'rows']:
        """Rows that have no id."""
        return self.codes < 0

    def column(self, rows: Int[np.ndarray, 'chosen']) -> TextColumn:
        """The ids of some rows, each of which has one."""
        return TextColumn.from_arrow(pa.DictionaryArray.from_arrays(self.codes[rows], self.values))


def ids(column: pa.ChunkedArray, like_floats: bool | None = None) -> Ids:
    """The ids of a plain column, whatever they are written as: 12, '12', ' 12' and 12.0 are one.

    Texts like '12.0' are read so where the whole column is of them, as it is when a table's holes made floats
    of its integers.

    Args:
      column: of one part of a table, or of all.
      like_floats: whether the whole column is of such texts, where this is a part of it; None to look.
    """
    encoded = column.dictionary_encode().unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), pa.array([], column.type))
    written = texts(pa.chunked_array([encoded.dictionary])).combine_chunks()
    known = pc.not_equal(written, '')
    floats = pc.match_substring_regex(written, r'^-?\d+\.0$')
    found = pc.all(pc.or_(floats, pc.invert(known))).as_py() if pc.any(known).as_py() else None
    if found if like_floats is None else like_floats:
        written = pc.replace_substring_regex(written, r'\.0$', '')
    distinct = pc.if_else(known, written, None).dictionary_encode()
    place = pc.fill_null(distinct.indices, -1).to_numpy(zero_copy_only=False)
    code = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    # The last place is that of rows without anything.
    return Ids(distinct.dictionary, np.append(place, -1).astype(np.int32)[code], found)


def numbers(column: pa.ChunkedArray) -> tuple[Float[np.ndarray, 'rows'], Bool[np.ndarray, 'rows']]:
    """The numbers of a plain column, NaN where there is none; and the rows where something else stands."""
    if pa.types.is_string(column.type):
        written = texts(column)
        column, bad = converted(pc.if_else(pc.equal(written, ''), None, written), pa.float64(), _NUMBER)
    elif pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        bad = np.zeros(len(column), bool)
    else:
        bad = pc.is_valid(column).to_numpy()
        column = pa.chunked_array([pa.nulls(len(column), pa.float64())])
    values = pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy()
    return values, bad | np.isinf(values)


def converted(
    column: pa.ChunkedArray, kind: pa.DataType, shape: str
) -> tuple[pa.ChunkedArray, Bool[np.ndarray, 'rows']]:
    """Texts as values of another kind, null where that fails; and where it fails.

    Args:
      column: texts, null where there is nothing.
      kind: that they are read as.
      shape: a regular expression of what may be of that kind.
    """
    try:
        return column.cast(kind), np.zeros(len(column), bool)
    except pa.ArrowInvalid:
        fits = pc.match_substring_regex(column, shape)
        found = pa.chunked_array([_cast_what_can(pc.if_else(fits, column, None).combine_chunks(), kind)])
        return found, pc.and_(pc.is_valid(column), pc.is_null(found)).to_numpy()


def _cast_what_can(part: pa.Array, kind: pa.DataType) -> pa.Array:
    """Halves what fails until single texts are left, which become null."""
    try:
        return part.cast(kind)
    except pa.ArrowInvalid:
        if len(part) == 1:
            return pa.nulls(1, kind)
        middle = len(part) // 2
        return pa.concat_arrays([_cast_what_can(half, kind) for half in (part[:middle], part[middle:])])


def _listed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return column.cast(_TEXTS)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise TypeError(f'a column of {column.type}; expected lists of texts') from error


def _first_lists(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Of lists of lists, the first: of several paths of categories the first is taken."""
    first = [lists[0] if lists else None for lists in column.to_pylist()]
    try:
        return pa.chunked_array([pa.array(first, _TEXTS)])
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise TypeError(f'a column of {column.type}; expected lists of lists of texts') from error
