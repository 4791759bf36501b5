"""When events happened: seconds, milliseconds, dates in words, in whatever form a column has them.

The form is guessed from all values and told. Times keep what lies below a second as long as events are
brought into their order.
"""

import dataclasses
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int

from llmrec_jax.corpora.tables.columns import TIME, converted, texts

# Ticks of each unit in a second.
UNITS = {'s': 1, 'ms': 10**3, 'us': 10**6, 'ns': 10**9}
ISO = 'iso'
# Seconds below are of the year 5138, milliseconds above of 1973: nobody's events lie between.
_UNIT_STARTS = ((10**17, 'ns'), (10**14, 'us'), (10**11, 'ms'), (0, 's'))
# Smaller numbers may be ranks or the years around 1970, and tell nothing of the unit.
_LEAST_CLOCK = 10**8
_INTEGER = r'^[-+]?\d+$'
_FLOAT = r'^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$'
_DATE = r'^\d{4}-\d\d-\d\d'
_ZONED = r'\d(Z|[+-]\d\d:?\d\d)$'
_DAY = '%Y%m%d'


class UnknownForm(ValueError):
    """Times whose form cannot be guessed.

    Attributes:
      row: one that shows it.
    """

    def __init__(self, row: int, problem: str):
        super().__init__(problem)
        self.row = row


@dataclasses.dataclass(frozen=True)
class Times:
    """A column of times.

    Attributes:
      ticks: since 1970, or whatever the numbers count; 0 where there is none.
      per_second: ticks in a second.
      form: 's', 'ms', 'us', 'ns', 'iso' or a pattern of strptime.
      bad: rows that have no time, or none in that form.
    """

    ticks: Int[np.ndarray, 'rows']
    per_second: int
    form: str
    bad: Bool[np.ndarray, 'rows']

    def seconds(self, ticks: Int[np.ndarray, 'rows']) -> Int[np.ndarray, 'rows']:
        """Ticks in whole seconds, as a corpus keeps them."""
        return ticks // self.per_second

    @property
    def told(self) -> str:
        """The form in words, and the first and the last day where the numbers are of a clock."""
        seconds = self.seconds(self.ticks[~self.bad])
        return (
            told(self.form, int(seconds.min()), int(seconds.max())) if len(seconds) else words_of(self.form)
        )


def words_of(form: str) -> str:
    """What the form of times is called."""
    return {
        's': 'seconds',
        'ms': 'milliseconds',
        'us': 'microseconds',
        'ns': 'nanoseconds',
        ISO: 'dates as in ISO 8601',
    }.get(form, f'dates in the form {form}')


def told(form: str, first: int, last: int) -> str:
    """The form in words, and the first and the last second's days where the numbers are of a clock."""
    if form in UNITS and last < _LEAST_CLOCK:
        return words_of(form)
    return f'{words_of(form)}, from {_day(first)} to {_day(last)}'


def times(column: pa.ChunkedArray, form: str | None) -> Times:
    """Reads a plain column of times.

    Args:
      column: of numbers, times or texts.
      form: 's', 'ms', 'us' or 'ns' for numbers, 'iso' or a pattern of strptime for texts; None to guess.

    Raises:
      UnknownForm: when the form cannot be guessed; the message says what the column holds and what to name.
    """
    if pa.types.is_timestamp(column.type):
        return _of_times(column, ISO)
    if pa.types.is_string(column.type):
        written = texts(column)
        column = pc.if_else(pc.equal(written, ''), None, written)
        if form is not None and form not in UNITS:
            return _of_dates(column, form)
        if form is None and not _looks_numeric(column):
            return _of_dates(column, ISO)
        integers, bad = converted(column, pa.int64(), _INTEGER)
        if bad.any():
            floats, bad = converted(column, pa.float64(), _FLOAT)
            return _of_floats(floats, form, bad)
        column = integers
    if pa.types.is_floating(column.type):
        return _of_floats(column, form, np.zeros(len(column), bool))
    if not pa.types.is_integer(column.type):
        raise UnknownForm(0, f'it holds a {column.type}; expected numbers or texts')
    if form is not None and form not in UNITS:
        return _of_dates(column.cast(pa.string()), form)
    return _of_integers(column, form)


def _looks_numeric(column: pa.ChunkedArray) -> bool:
    """Whether most of the first values are numbers.

    Raises:
      UnknownForm: when they are neither numbers nor dates as in ISO 8601.
    """
    first = pc.drop_null(column).slice(0, 1000)
    numeric = pc.sum(pc.match_substring_regex(first, _FLOAT)).as_py() or 0
    dates = pc.sum(pc.match_substring_regex(first, _DATE)).as_py() or 0
    if len(first) and not numeric and not dates:
        raise UnknownForm(
            int(np.argmax(pc.is_valid(column).to_numpy())),
            f'{first[0].as_py()!r} is neither a number nor a date as in ISO 8601; name its form, '
            "e.g. Tables.time_format = '%d/%m/%Y %H:%M', or Tables.time_column = '' for the file's order",
        )
    return numeric >= dates


def _of_integers(column: pa.ChunkedArray, form: str | None) -> Times:
    bad = pc.is_null(column).to_numpy()
    ticks = pc.fill_null(column, 0).to_numpy()
    known = ticks[~bad]
    if form is None and len(known) and _are_days(known):
        return _of_dates(column.cast(pa.string()), _DAY)
    unit = form or _unit(np.where(bad, 0, ticks))
    return Times(ticks, UNITS[unit], unit, bad)


def _of_floats(column: pa.ChunkedArray, form: str | None, bad: Bool[np.ndarray, 'rows']) -> Times:
    values = pc.fill_null(column, np.nan).to_numpy()
    bad = bad | ~np.isfinite(values) | (np.abs(values) > 2.0**62)
    values = np.where(bad, 0, values)
    if (values == np.round(values)).all():
        whole = _of_integers(pa.chunked_array([pa.array(values.astype(np.int64), mask=bad)]), form)
        return dataclasses.replace(whole, bad=bad | whole.bad)
    unit = form or _unit(values)
    # Microseconds are as fine as a float of today's seconds is.
    scale = 10**6 / UNITS[unit]
    return Times(np.round(values * scale).astype(np.int64), 10**6, unit, bad)


def _are_days(ticks: Int[np.ndarray, 'known']) -> bool:
    """Whether all numbers spell a day, as 20240229 does."""
    month, day = ticks // 100 % 100, ticks % 100
    return bool(
        (
            (ticks >= 19000101)
            & (ticks <= 21001231)
            & (month >= 1)
            & (month <= 12)
            & (day >= 1)
            & (day <= 31)
        ).all()
    )


def _unit(values: np.ndarray) -> str:
    sizes = np.abs(values)
    largest = int(np.argmax(sizes))
    least = sizes.min(where=sizes >= _LEAST_CLOCK, initial=sizes[largest])
    found = {next(unit for start, unit in _UNIT_STARTS if size >= start) for size in (least, sizes[largest])}
    if len(found) > 1:
        raise UnknownForm(
            largest,
            f'it holds {least:.0f} and {sizes[largest]:.0f}, which cannot both be of one unit; mend them, '
            "or name the unit of all: Tables.time_format = 's', 'ms', 'us' or 'ns'",
        )
    return found.pop()


def _of_dates(column: pa.ChunkedArray, form: str) -> Times:
    if form != ISO:
        found = pc.strptime(column, format=form, unit='us', error_is_null=True)
        return _of_times(found, form)
    column = pc.replace_substring_regex(column, r' ?(UTC|GMT)$', 'Z')
    zoned = pc.match_substring_regex(column, _ZONED)
    day_only = pc.match_substring_regex(column, r'^\d{4}-\d\d-\d\d$')
    zoned = pc.and_(zoned, pc.invert(day_only))
    utc, _ = converted(pc.if_else(zoned, column, None), pa.timestamp('us', 'UTC'), _DATE)
    local, _ = converted(pc.if_else(zoned, None, column), TIME, _DATE)
    return _of_times(pc.coalesce(utc.cast(TIME), local), ISO)


def _of_times(column: pa.ChunkedArray, form: str) -> Times:
    bad = pc.is_null(column).to_numpy()
    return Times(pc.fill_null(column.cast(pa.int64()), 0).to_numpy(), 10**6, form, bad)


def _day(second: int) -> str:
    try:
        return datetime.fromtimestamp(second, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return str(second)
