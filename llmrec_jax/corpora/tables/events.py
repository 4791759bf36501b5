"""The events of a table of interactions: which columns, which rows, and what was left out."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float, Int

from llmrec_jax.corpora import scraped_text
from llmrec_jax.corpora.event_rows import repeated_rows
from llmrec_jax.corpora.raw_events import RawEvents
from llmrec_jax.corpora.tables import columns
from llmrec_jax.corpora.tables.parts import Part, ReadTable, names_of, read_parts
from llmrec_jax.corpora.tables.roles import Role, required, roles
from llmrec_jax.corpora.tables.times import Times, UnknownForm, times
from llmrec_jax.corpora.text_column import TextColumn

ROLES = ('user', 'item', 'time', 'rating', 'summary', 'review')
_DROPS = ' (Tables.bad_rows = "drop" leaves such rows out)'
# What a person wrote is looked at where there may be markup or code in it.
_MARKUP = r'[<&{]|^\s*(var|let|const|new|window|document)\b'


@dataclasses.dataclass(frozen=True)
class TableEvents:
    """What a table of interactions holds.

    Attributes:
      raw: the events; `timestamp` counts ticks, `line` the rows of `table`.
      table: the columns that were read along, and where each row stands.
      times: the column of times; None where events are counted in the order of the file.
      like_floats: of 'user' and 'item', see `columns.Ids`.
      facts: how many rows were read and left out, for the provenance.
    """

    raw: RawEvents
    table: ReadTable
    times: Times | None
    like_floats: Mapping[str, bool | None]
    facts: Mapping[str, Any]


def event_roles(parts: Sequence[Part], named: Mapping[str, str | None]) -> dict[str, Role]:
    """The columns of the events.

    Raises:
      ValueError: when there is no column of users, or none of items.
    """
    names = names_of(parts)
    found = roles(names, named)
    required(parts[0].path, names, found, {role: f'Tables.{role}_column' for role in ('user', 'item')})
    reviews, summary = found['review'], found['summary']
    if reviews.column and summary.guessed and summary.column is None and 'title' in names:
        # Beside a review, a title is the review's.
        found['summary'] = Role('title', guessed=True)
    return found


def read_events(
    parts: Sequence[Part],
    found: Mapping[str, Role],
    *,
    more_columns: Sequence[str] = (),
    time_format: str | None,
    drop_bad_rows: bool,
    min_rating: float | int | None,
    duplicates: str,
    scraps: scraped_text.Scraps,
    like_floats: Mapping[str, bool | None] | None = None,
) -> TableEvents:
    """Reads the events of a table, or of some parts of one; there may be none.

    Args:
      parts: of the table.
      found: the columns of `ROLES`.
      more_columns: others to be read along.
      time_format: see `times.times`.
      drop_bad_rows: leave out what cannot be read, instead of an error.
      min_rating: leave out events with fewer stars, or none.
      duplicates: 'error' refuses events that come again; they are left as they are otherwise.
      scraps: counts what was taken out of reviews.
      like_floats: of 'user' and 'item', what all parts are; see `columns.ids`.

    Raises:
      ValueError: naming file, line and column, when a row cannot be read.
    """
    used = {role: found[role].column for role in ROLES if found[role].column is not None}
    table = read_parts(parts, [*used.values(), *more_columns])
    user, item = (
        columns.ids(table.columns[used[role]], (like_floats or {}).get(role)) for role in ('user', 'item')
    )
    when = _times(table, used.get('time'), time_format)
    stars, unread_stars = _ratings(table, used.get('rating'), min_rating)
    bad = {'user': user.missing, 'item': item.missing, 'rating': unread_stars}
    if when is not None:
        bad['time'] = when.bad
    blank = _blank(table, list(used.values()), user.missing & item.missing)
    kept = ~blank & ~_refused(table, used, {role: mask & ~blank for role, mask in bad.items()}, drop_bad_rows)
    readable = int(kept.sum())
    if min_rating is not None:
        kept &= stars >= min_rating
    rows = np.flatnonzero(kept)
    users = user.column(rows)
    raw = RawEvents(
        line=rows,
        user_id=users,
        item_id=item.column(rows),
        timestamp=_positions(users) if when is None else when.ticks[rows],
        rating=stars[rows].astype(np.float32),
        summary=_opinions(table, used.get('summary'), 'summary', rows, scraps),
        review=_opinions(table, used.get('review'), 'review', rows, scraps),
    )
    if duplicates == 'error':
        _refuse_repeated(table, raw)
    facts = {
        'rows_read': len(table) + table.dropped,
        'rows_blank': int(blank.sum()),
        'rows_unreadable': len(table) - int(blank.sum()) - readable + table.dropped,
        'rows_below_min_rating': readable - len(rows),
    }
    # Texts that have become events are not kept.
    left = {name: table.columns[name] for name in more_columns}
    like = {'user': user.like_floats, 'item': item.like_floats}
    return TableEvents(raw, dataclasses.replace(table, columns=left), when, like, facts)


def check_any(path: Path, events: int, rows: int, min_rating: float | int | None) -> None:
    """Raises a ValueError that names the file, when none of a table's rows is an event."""
    if not events:
        least = '' if min_rating is None else f' with at least {min_rating} stars (Tables.min_rating)'
        raise ValueError(f'{path}: none of its {rows} rows is an event{least}')


def _times(table: ReadTable, name: str | None, form: str | None) -> Times | None:
    if name is None:
        return None
    try:
        return times(table.columns[name], form)
    except UnknownForm as error:
        raise ValueError(f'{table.place(error.row)}, column {name!r}: {error}') from error


def _ratings(
    table: ReadTable, name: str | None, min_rating: float | int | None
) -> tuple[Float[np.ndarray, 'rows'], Bool[np.ndarray, 'rows']]:
    if name is not None:
        return columns.numbers(table.columns[name])
    if min_rating is not None:
        raise ValueError(
            f'{table.parts[0].path}: no column of the ratings was found, which Tables.min_rating asks for; '
            'name it by Tables.rating_column'
        )
    return np.full(len(table), np.nan), np.zeros(len(table), bool)


def _blank(
    table: ReadTable, names: Sequence[str], maybe: Bool[np.ndarray, 'rows']
) -> Bool[np.ndarray, 'rows']:
    """Rows of which no column has anything, as spreadsheets leave them at the end of a table."""
    rows = np.flatnonzero(maybe)
    blank = np.zeros(len(maybe), bool)
    if len(rows):
        cells = [columns.texts(table.columns[name].take(pa.array(rows))) for name in names]
        blank[rows] = np.all([pc.equal(cell, '').to_numpy() for cell in cells], axis=0)
    return blank


_EXPECTED = {
    'user': "a user's id",
    'item': "an item's id",
    'rating': 'a number or nothing',
    'time': 'a time in the form of the others',
}


def _refused(
    table: ReadTable, used: Mapping[str, str], bad: Mapping[str, Bool[np.ndarray, 'rows']], drop: bool
) -> Bool[np.ndarray, 'rows']:
    """Rows with something that cannot be read.

    Raises:
      ValueError: naming the first and how many others there are, unless they are to be dropped.
    """
    refused = np.any(list(bad.values()), axis=0)
    if refused.any() and not drop:
        row = int(np.argmax(refused))
        role = next(role for role, mask in bad.items() if mask[row])
        found = table.value(row, used[role])
        problem = (
            f'column {used[role]!r} is {found!r}'
            if found not in (None, '')
            else f'column {used[role]!r} is empty'
        )
        others = f' (and {refused.sum() - 1} other rows are wrong)' if refused.sum() > 1 else ''
        table.fail(row, f'{problem}{others}', _EXPECTED[role] + _DROPS)
    return refused


def _positions(users: TextColumn) -> Int[np.ndarray, 'events']:
    """The place of each event in its user's history, where there is no clock."""
    _, user = users.encode()
    order = np.argsort(user, kind='stable')
    lengths = np.bincount(user)
    places = np.empty(len(user), np.int64)
    places[order] = np.arange(len(user)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return places


def _opinions(
    table: ReadTable, name: str | None, field: str, rows: np.ndarray, scraps: scraped_text.Scraps
) -> TextColumn:
    if name is None:
        return TextColumn.constant('', len(rows))
    written = columns.texts(table.columns[name].take(pa.array(rows)))
    marked = pc.match_substring_regex(written, _MARKUP)
    if pc.any(marked).as_py():
        plain = [scraped_text.opinion(text, field, scraps) for text in written.filter(marked).to_pylist()]
        written = pc.replace_with_mask(
            written.combine_chunks(), marked.combine_chunks(), pa.array(plain, pa.string())
        )
    return TextColumn.from_arrow(written)


def _refuse_repeated(table: ReadTable, raw: RawEvents) -> None:
    """Raises a ValueError that names both rows, where user, item and time come again."""
    again, first = repeated_rows(raw.user_id.encode()[1], raw.item_id.encode()[1], raw.timestamp)
    if len(again):
        row, before = int(again[0]), table.place(int(raw.line[first[0]]))
        table.fail(
            int(raw.line[row]),
            f'user {raw.user_id[row]!r} has item {raw.item_id[row]!r} at the same time at {before} already',
            'each event once (Tables.duplicates = "keep_first" drops the later ones)',
        )
