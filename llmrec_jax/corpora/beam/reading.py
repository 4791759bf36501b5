"""How a worker reads one part of a table of interactions, once it is known what all parts agree on."""

import collections
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llmrec_jax.corpora.beam.histories import Event, position
from llmrec_jax.corpora.scraped_text import Scraps
from llmrec_jax.corpora.tables import times
from llmrec_jax.corpora.tables.events import TableEvents
from llmrec_jax.corpora.tables.roles import Role
from llmrec_jax.corpora.tables.source import Tables


@dataclasses.dataclass(frozen=True)
class Reading:
    """How parts are read.

    Attributes:
      source: of the table.
      found: the columns of the events.
      like_floats: of 'user' and 'item', see `columns.ids`; None until all parts were looked at.
      per_second: ticks in a second, likewise; None also where the table has no times.
    """

    source: Tables
    found: Mapping[str, Role]
    like_floats: Mapping[str, bool] | None = None
    per_second: int | None = None

    def look(self, part: int, path: Path) -> dict[str, Any]:
        """What one part holds, as JSON: what all must agree on, and what is counted."""
        scraps = Scraps()
        try:
            events = self._read(path, scraps)
        except ValueError as error:
            return {'part': part, 'error': str(error)}
        seen = {
            'part': part,
            'rows': len(events.table),
            'events': len(events.raw),
            'facts': dict(events.facts),
            'like_floats': dict(events.like_floats),
            'scraps': dict(scraps),
        }
        when = events.times
        if when is not None and not when.bad.all():
            seconds = when.seconds(when.ticks[~when.bad])
            seen['times'] = {
                'form': when.form,
                'per_second': when.per_second,
                'first': int(seconds.min()),
                'last': int(seconds.max()),
            }
        return seen

    def events(self, part: int, path: Path) -> Iterator[tuple[str, Event]]:
        """The events of one part, by user."""
        events = self._read(path, Scraps())
        raw = events.raw
        ticks = raw.timestamp
        if events.times is not None:
            ticks = ticks * (self.per_second // events.times.per_second)
        columns = raw.line.tolist(), raw.item_id, ticks.tolist(), raw.rating.tolist(), raw.summary, raw.review
        for user, line, *values in zip(raw.user_id, *columns):
            yield user, Event(position(part, line), *values)

    def _read(self, path: Path, scraps: Scraps) -> TableEvents:
        # What comes again is found among all parts.
        source = dataclasses.replace(self.source, duplicates='keep_first')
        return source.events_of([source.open_interactions(path)], self.found, (), scraps, self.like_floats)


@dataclasses.dataclass(frozen=True)
class Agreed:
    """What all parts of a table agree on, and their counts together.

    Attributes:
      reading: how they are read.
      facts: for the provenance.
      scraps: what was taken out of reviews.
      told_times: the form of the times; None where the table has none.
      rows: how many there are.
      events: how many of them are events.
    """

    reading: Reading
    facts: Mapping[str, int]
    scraps: Scraps
    told_times: str | None
    rows: int
    events: int


def agreed(reading: Reading, paths: Sequence[Path], seen: Sequence[Mapping[str, Any]]) -> Agreed:
    """Puts together what was seen of the parts.

    Args:
      reading: by which they were looked at.
      paths: of the parts.
      seen: of each part, by `Reading.look`.

    Raises:
      ValueError: naming the file, when one cannot be read or has times of another form than the others.
    """
    seen = sorted(seen, key=lambda one: one['part'])
    for one in seen:
        if 'error' in one:
            raise ValueError(one['error'])
    facts: collections.Counter[str] = collections.Counter()
    scraps = Scraps()
    for one in seen:
        facts.update(one['facts'])
        scraps.update(one['scraps'])
    like_floats = {}
    for role in ('user', 'item'):
        known = [one['like_floats'][role] for one in seen if one['like_floats'][role] is not None]
        like_floats[role] = bool(known) and all(known)
    timed = [one for one in seen if 'times' in one]
    for one in timed[1:]:
        form, first = one['times']['form'], timed[0]['times']['form']
        if form != first:
            raise ValueError(
                f'{paths[one["part"]]} has {times.words_of(form)}, and {paths[timed[0]["part"]]} '
                f'{times.words_of(first)}; name the form of all by Tables.time_format'
            )
    told, per_second, source = None, None, reading.source
    if reading.found['time'].column is not None:
        per_second = max([one['times']['per_second'] for one in timed], default=1)
        form = timed[0]['times']['form'] if timed else 's'
        source = dataclasses.replace(source, time_format=form)
        told = times.words_of(form)
        if timed:
            told = times.told(
                form,
                min(one['times']['first'] for one in timed),
                max(one['times']['last'] for one in timed),
            )
    return Agreed(
        dataclasses.replace(reading, source=source, like_floats=like_floats, per_second=per_second),
        dict(facts),
        scraps,
        told,
        sum(one['rows'] for one in seen),
        sum(one['events'] for one in seen),
    )
