"""Goodreads' shelves and ratings of books (Wan and McAuley, 2018; Wan et al., 2019), from the raw files."""

import dataclasses
import datetime
import re
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any, ClassVar

from llmrec_jax.corpora import citations, scraped_text
from llmrec_jax.corpora.amazon_files import checked, events_of_columns, text_id
from llmrec_jax.corpora.amazon_reviews_2014 import METADATA
from llmrec_jax.corpora.listed_once import ListedOnce
from llmrec_jax.corpora.raw_events import ItemRecord, RawEvents
from llmrec_jax.corpora.raw_files import bad_line, first_file, is_number, json_records
from llmrec_jax.corpora.raw_source import RawSource, RawTables
from llmrec_jax.corpora.scraped_text import Scraps
from llmrec_jax.corpora.source import About, location, one_of

# Which of a genre's interactions are events: every book put on a shelf, those that were read, those rated.
SHELVED, READ, RATED = 'shelved', 'read', 'rated'
INTERACTIONS = (SHELVED, READ, RATED)
_INTERACTION = (
    "an interaction with user_id, book_id, rating and date_added ('Fri Apr 19 08:15:15 -0700 2013')"
)
_MEND = "each of them once, or copies of it (duplicates='keep_first' goes by the earlier line)"
_DATE = re.compile(r'[A-Z][a-z]{2} ([A-Z][a-z]{2}) (\d\d) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d) (\d{4})')
_MONTHS = ('Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec')
# Shelves that tell of their owner, not of the book.
_NO_SUBJECTS = re.compile(
    r'to-read|currently-reading|read|default|favou?rites?|owned(-books)?|(books-)?i-own|my-.*|library.*|wish-?list'
    r'|to-buy|kindle|e-?books?|audio-?books?|did-not-finish|dnf|re-?read.*|all-time-.*|read-in-.*|\d{4}.*'
)
_SHELVES = 3
_AUTHORS = 'goodreads_book_authors.json.gz'


@dataclasses.dataclass(frozen=True)
class Goodreads(RawSource):
    """The interactions of one genre, and its books.

    Reads `goodreads_interactions_<genre>.json.gz` and `goodreads_books_<genre>.json.gz`, which hold a JSON
    object a line; and, where it lies beside them, `goodreads_book_authors.json.gz`, whose names are the
    books' brands. An event's time is when the book was put on a shelf; a rating of 0 is none. The names of
    the shelves on which a book stands most often are its categories, without those that tell of their owner
    ('to-read'). The settings that all published events share are told in `raw_source.RawSource`.

    Attributes:
      genre: as its file spells it: 'poetry', 'young_adult', 'comics_graphic', …
      manual_dir: the directory of the files; None downloads them from `url_root` when the corpus is prepared.
      interactions: which are events: 'shelved' takes all, 'read' those marked as read, 'rated' those with
        stars.
      metadata: 'required', or 'absent' for a corpus whose books are known by their ids alone.
      k_core: as in `raw_source.RawSource`.
      url_root: where the files are published.
    """

    genre: str = 'poetry'
    manual_dir: str | None = location(None)
    interactions: str = SHELVED
    metadata: str = 'required'
    k_core: int = dataclasses.field(default=5, kw_only=True)
    url_root: str = location('https://mcauleylab.ucsd.edu/public_datasets/gdrive/goodreads')
    kind: ClassVar[str] = 'goodreads'
    about: ClassVar[About] = citations.GOODREADS

    def __post_init__(self):
        super().__post_init__()
        one_of('Goodreads.interactions', self.interactions, INTERACTIONS)
        one_of('Goodreads.metadata', self.metadata, METADATA)

    @property
    def name(self) -> str:
        """'goodreads/' and the genre, with the kind of interactions unless it is all of them."""
        kind = '' if self.interactions == SHELVED else f'_{self.interactions}'
        return f'goodreads/{self.genre}{kind}'

    def urls(self) -> Mapping[str, str]:
        """File name -> where it is published."""
        found = {}
        for part in ('interactions', *(['books'] if self.metadata == 'required' else [])):
            name = f'goodreads_{part}_{self.genre}.json.gz'
            found[name] = f'{self.url_root}/byGenre/{name}'
        if self.metadata == 'required':
            found[_AUTHORS] = f'{self.url_root}/{_AUTHORS}'
        return found

    def input_files(self) -> Mapping[str, Path]:
        """The interactions and, unless they are absent, the books, with the authors where they are there.

        Raises:
          FileNotFoundError: when one is missing, naming what was looked for and how to mend it.
        """
        if self.manual_dir is None:
            raise FileNotFoundError(
                f'{self.name}: the files are not at hand; set Goodreads.manual_dir to the directory that '
                'holds them, or download them with llmrec_jax.corpora.prepare.prepare'
            )
        directory = Path(self.manual_dir).expanduser()
        mend = f'set Goodreads.manual_dir to the directory that holds it, or download it from {self.url_root}'
        stem = f'goodreads_interactions_{self.genre}.json'
        found = [first_file(directory, (f'{stem}.gz', stem), mend)]
        if self.metadata == 'required':
            stem = f'goodreads_books_{self.genre}.json'
            without = f"{mend}, or set Goodreads.metadata='absent' for books without text"
            found.append(first_file(directory, (f'{stem}.gz', stem), without))
            if (directory / _AUTHORS).is_file():
                found.append(directory / _AUTHORS)
        return {path.name: path for path in found}

    def read(self, files: Mapping[str, Path]) -> RawTables:
        """See `RawSource.read`."""
        interactions, *books = files.values()
        scraps = Scraps()

        def items(wanted: Set[str]) -> Mapping[str, ItemRecord]:
            if not books:
                return {}
            authors = _read_authors(books[1]) if len(books) > 1 else {}
            listed = _read_books(books[0], wanted, authors, self.duplicates == 'keep_first', scraps)
            tables.facts['items_without_metadata'] = len(wanted) - len(listed.records)
            tables.facts['repeated_item_lines'] = listed.repeated
            return listed.records

        facts = {'metadata': self.metadata, 'interactions': self.interactions}
        events = _read_interactions(interactions, self.interactions, scraps)
        tables = RawTables(events, interactions, items, scraps=scraps, facts=facts)
        return tables


def _read_interactions(path: Path, which: str, scraps: Scraps) -> RawEvents:
    columns: tuple[list, ...] = ([], [], [], [], [], [], [])
    for number, record in json_records(path):
        stars = checked(path, number, record, 'rating', is_number, _INTERACTION)
        if (which == RATED and not stars) or (which == READ and record.get('is_read') is not True):
            continue
        values = (
            number,
            text_id(path, number, record, 'user_id', _INTERACTION),
            text_id(path, number, record, 'book_id', _INTERACTION),
            _seconds(path, number, record.get('date_added')),
            stars or float('nan'),
            '',
            scraped_text.opinion(
                record.get('review_text', record.get('review_text_incomplete')), 'review', scraps
            ),
        )
        for column, value in zip(columns, values):
            column.append(value)
    return events_of_columns(columns)


def _seconds(path: Path, number: int, date: Any) -> int:
    """Seconds since 1970 of 'Fri Apr 19 08:15:15 -0700 2013', whatever language the machine speaks."""
    match = _DATE.fullmatch(date) if isinstance(date, str) else None
    try:
        month, day, hour, minute, second, sign, hours, minutes, year = match.groups()
        numbers = (int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second))
        moment = datetime.datetime(*numbers)
    except (AttributeError, ValueError):
        bad_line(path, number, f"field 'date_added' is {date!r}", _INTERACTION)
    east = (int(hours) * 3600 + int(minutes) * 60) * (1 if sign == '+' else -1)
    return int((moment - datetime.datetime(1970, 1, 1)).total_seconds()) - east


def _read_authors(path: Path) -> dict[str, str]:
    names = {}
    for number, record in json_records(path):
        author = text_id(path, number, record, 'author_id', "an author with their 'author_id'")
        names[author] = scraped_text.line(record.get('name'), 'brand', Scraps())
    return names


def _read_books(
    path: Path, wanted: Set[str], authors: Mapping[str, str], keep_first: bool, scraps: Scraps
) -> ListedOnce[ItemRecord]:
    books = ListedOnce[ItemRecord](path, 'book', mend=_MEND, keep_first=keep_first)
    for number, record in json_records(path):
        book = text_id(path, number, record, 'book_id', "a book with its 'book_id'")
        if book in wanted:
            books.add(number, book, _book(record, authors, scraps))
    return books


def _book(record: dict[str, Any], authors: Mapping[str, str], scraps: Scraps) -> ItemRecord:
    wrote = [str(one.get('author_id')) for one in _objects(record.get('authors'))]
    shelves = [str(one.get('name', '')) for one in _objects(record.get('popular_shelves'))]
    subjects = [name for name in shelves if name and not _NO_SUBJECTS.fullmatch(name)]
    return ItemRecord(
        title=scraped_text.line(record.get('title'), 'title', scraps),
        brand=', '.join(filter(None, (authors.get(author, '') for author in wrote))),
        categories=scraped_text.path(subjects[:_SHELVES], scraps),
        description=scraped_text.paragraphs(record.get('description'), 'description', scraps),
    )


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
