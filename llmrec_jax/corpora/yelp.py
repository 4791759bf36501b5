"""Yelp's reviews of places (Yelp Open Dataset), from the JSON files that Yelp hands out."""

import dataclasses
import datetime
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any, ClassVar

from llmrec_jax.corpora import citations, scraped_text
from llmrec_jax.corpora.amazon_files import checked, events_of_columns, text_id
from llmrec_jax.corpora.listed_once import ListedOnce
from llmrec_jax.corpora.raw_events import ItemRecord, RawEvents
from llmrec_jax.corpora.raw_files import bad_line, first_file, is_number, json_records
from llmrec_jax.corpora.raw_source import RawSource, RawTables, UserRecord
from llmrec_jax.corpora.scraped_text import Scraps
from llmrec_jax.corpora.source import About, location, one_of

USERS = ('required', 'absent')
_REVIEW = "a review with user_id, business_id, stars and date ('2016-03-09 18:30:00')"
_MEND = "each of them once, or copies of it (duplicates='keep_first' goes by the earlier line)"


@dataclasses.dataclass(frozen=True)
class Yelp(RawSource):
    """The reviews, the places and what is told of their reviewers.

    Reads `yelp_academic_dataset_review.json`, `…_business.json` and `…_user.json`, which hold a JSON object a
    line, gzipped (`.gz`) or not. Yelp gives them to those who agree to its terms, so that they cannot be
    downloaded from here. A place's name is its title, and its city and state are its description; its
    categories have no order of depth. Dates are told without a time zone and are taken as they stand. The
    settings that all published events share are told in `raw_source.RawSource`.

    Attributes:
      manual_dir: the directory of the files.
      users: 'required', or 'absent' for a corpus that knows users by their ids alone. A profile tells the
        first name and since when its owner writes; counts and means that Yelp took over all years are left
        out, because they know the future.
      k_core: as in `raw_source.RawSource`.
    """

    manual_dir: str = location()
    users: str = 'required'
    k_core: int = dataclasses.field(default=5, kw_only=True)
    kind: ClassVar[str] = 'yelp'
    about: ClassVar[About] = citations.YELP

    def __post_init__(self):
        super().__post_init__()
        one_of('Yelp.users', self.users, USERS)

    @property
    def name(self) -> str:
        """'yelp/reviews'."""
        return 'yelp/reviews'

    def input_files(self) -> Mapping[str, Path]:
        """The reviews, the places and, unless they are absent, the users.

        Raises:
          FileNotFoundError: when one is missing, naming what was looked for and how to mend it.
        """
        directory = Path(self.manual_dir).expanduser()
        wanted = ['review', 'business', *(['user'] if self.users == 'required' else [])]
        found = {}
        for part in wanted:
            without = " or Yelp.users='absent'" if part == 'user' else ''
            mend = f"set Yelp.manual_dir to the directory of Yelp's Open Dataset{without}"
            stem = f'yelp_academic_dataset_{part}'
            found[part] = first_file(directory, (f'{stem}.json', f'{stem}.json.gz', f'{part}.json'), mend)
        return {path.name: path for path in found.values()}

    def read(self, files: Mapping[str, Path]) -> RawTables:
        """See `RawSource.read`."""
        reviews, places, *users = files.values()
        scraps, keep_first = Scraps(), self.duplicates == 'keep_first'

        def items(wanted: Set[str]) -> Mapping[str, ItemRecord]:
            listed = _read_places(places, wanted, keep_first, scraps)
            tables.facts['items_without_metadata'] = len(wanted) - len(listed.records)
            tables.facts['repeated_item_lines'] = listed.repeated
            return listed.records

        def profiles(wanted: Set[str]) -> Mapping[str, str]:
            return _read_users(users[0], wanted, keep_first, scraps) if users else {}

        tables = RawTables(
            _read_reviews(reviews, scraps), reviews, items, profiles, scraps, {'users': self.users}
        )
        return tables


def _read_reviews(path: Path, scraps: Scraps) -> RawEvents:
    columns: tuple[list, ...] = ([], [], [], [], [], [], [])
    for number, record in json_records(path):
        values = (
            number,
            text_id(path, number, record, 'user_id', _REVIEW),
            text_id(path, number, record, 'business_id', _REVIEW),
            _seconds(path, number, record.get('date')),
            checked(path, number, record, 'stars', is_number, _REVIEW),
            '',
            scraped_text.opinion(record.get('text'), 'review', scraps),
        )
        for column, value in zip(columns, values):
            column.append(value)
    return events_of_columns(columns)


def _seconds(path: Path, number: int, date: Any) -> int:
    """Seconds since 1970 of '2016-03-09 18:30:00', or of a day alone, as earlier rounds tell it."""
    try:
        return int(datetime.datetime.fromisoformat(date).replace(tzinfo=datetime.UTC).timestamp())
    except (TypeError, ValueError, OverflowError):
        bad_line(path, number, f"field 'date' is {date!r}", _REVIEW)


def _read_places(path: Path, wanted: Set[str], keep_first: bool, scraps: Scraps) -> ListedOnce[ItemRecord]:
    places = ListedOnce[ItemRecord](path, 'place', mend=_MEND, keep_first=keep_first)
    for number, record in json_records(path):
        place = text_id(path, number, record, 'business_id', "a place with its 'business_id'")
        if place not in wanted:
            continue
        names = record.get('categories')
        # Until 2017 a list, since then names parted by commas.
        names = names.split(',') if isinstance(names, str) else names if isinstance(names, list) else []
        where = [scraped_text.line(record.get(field), 'description', scraps) for field in ('city', 'state')]
        title = scraped_text.line(record.get('name'), 'title', scraps)
        categories = scraped_text.path(names, scraps)
        places.add(
            number,
            place,
            ItemRecord(title=title, categories=categories, description=', '.join(filter(None, where))),
        )
    return places


def _read_users(path: Path, wanted: Set[str], keep_first: bool, scraps: Scraps) -> dict[str, str]:
    users = ListedOnce[UserRecord](path, 'user', mend=_MEND, keep_first=keep_first)
    for number, record in json_records(path):
        user = text_id(path, number, record, 'user_id', "a user with their 'user_id'")
        if user in wanted:
            name = scraped_text.line(record.get('name'), 'profile', scraps)
            year = scraped_text.line(record.get('yelping_since'), 'profile', scraps)[:4]
            since = f'on Yelp since {year}' if year.isdigit() else ''
            users.add(number, user, UserRecord(', '.join(filter(None, (name, since)))))
    return {user: told.profile for user, told in users.records.items()}
