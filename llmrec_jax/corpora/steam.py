"""Steam's reviews of games (Kang and McAuley, 2018), from the files of Python literals."""

import dataclasses
import datetime
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any, ClassVar

from llmrec_jax.corpora import citations, scraped_text
from llmrec_jax.corpora.amazon_files import events_of_columns, text_id
from llmrec_jax.corpora.amazon_reviews_2014 import METADATA
from llmrec_jax.corpora.listed_once import ListedOnce
from llmrec_jax.corpora.raw_events import ItemRecord, RawEvents
from llmrec_jax.corpora.raw_files import bad_line, first_file, json_records
from llmrec_jax.corpora.raw_source import RawSource, RawTables
from llmrec_jax.corpora.scraped_text import Scraps
from llmrec_jax.corpora.source import About, location, one_of

_REVIEW = "a review with username, product_id and date ('2017-12-17')"
_REVIEWS, _GAMES = 'steam_reviews.json.gz', 'steam_games.json.gz'


@dataclasses.dataclass(frozen=True)
class Steam(RawSource):
    """The reviews of games, and what the shop tells of the games.

    Reads `steam_reviews.json.gz` and `steam_games.json.gz`, whose lines are Python dicts. A user is known by
    the name under which the review stands, as SASRec does it; reviews have no stars, and their times are
    days. A game's developer is its brand, its genres are its categories, and its tags its description. The
    settings that all published events share are told in `raw_source.RawSource`.

    Attributes:
      manual_dir: the directory of the files; None downloads them from `url_root` when the corpus is prepared.
      metadata: 'required', or 'absent' for a corpus whose games are known by their ids alone.
      k_core: as in `raw_source.RawSource`.
      url_root: where the files are published.
    """

    manual_dir: str | None = location(None)
    metadata: str = 'required'
    k_core: int = dataclasses.field(default=5, kw_only=True)
    url_root: str = location('https://cseweb.ucsd.edu/~wckang')
    kind: ClassVar[str] = 'steam'
    about: ClassVar[About] = citations.STEAM

    def __post_init__(self):
        super().__post_init__()
        one_of('Steam.metadata', self.metadata, METADATA)

    @property
    def name(self) -> str:
        """'steam/reviews'."""
        return 'steam/reviews'

    def urls(self) -> Mapping[str, str]:
        """File name -> where it is published."""
        names = [_REVIEWS, *([_GAMES] if self.metadata == 'required' else [])]
        return {name: f'{self.url_root}/{name}' for name in names}

    def input_files(self) -> Mapping[str, Path]:
        """The reviews and, unless they are absent, the games.

        Raises:
          FileNotFoundError: when one is missing, naming what was looked for and how to mend it.
        """
        if self.manual_dir is None:
            raise FileNotFoundError(
                f'{self.name}: the files are not at hand; set Steam.manual_dir to the directory that holds '
                'them, or download them with llmrec_jax.corpora.prepare.prepare'
            )
        directory = Path(self.manual_dir).expanduser()
        mend = f'set Steam.manual_dir to the directory that holds it, or download it from {self.url_root}'
        found = [first_file(directory, (_REVIEWS, _REVIEWS.removesuffix('.gz')), mend)]
        if self.metadata == 'required':
            without = f"{mend}, or set Steam.metadata='absent' for games without text"
            found.append(first_file(directory, (_GAMES, _GAMES.removesuffix('.gz')), without))
        return {path.name: path for path in found}

    def read(self, files: Mapping[str, Path]) -> RawTables:
        """See `RawSource.read`."""
        reviews, *games = files.values()
        scraps = Scraps()

        def items(wanted: Set[str]) -> Mapping[str, ItemRecord]:
            if not games:
                return {}
            listed = _read_games(games[0], wanted, self.duplicates == 'keep_first', scraps)
            tables.facts['items_without_metadata'] = len(wanted) - len(listed.records)
            tables.facts['repeated_item_lines'] = listed.repeated
            return listed.records

        events = _read_reviews(reviews, scraps)
        tables = RawTables(events, reviews, items, scraps=scraps, facts={'metadata': self.metadata})
        return tables


def _read_reviews(path: Path, scraps: Scraps) -> RawEvents:
    columns: tuple[list, ...] = ([], [], [], [], [], [], [])
    for number, record in json_records(path, python_literals=True):
        values = (
            number,
            text_id(path, number, record, 'username', _REVIEW),
            text_id(path, number, record, 'product_id', _REVIEW),
            _seconds(path, number, record.get('date')),
            float('nan'),
            '',
            scraped_text.opinion(record.get('text'), 'review', scraps),
        )
        for column, value in zip(columns, values):
            column.append(value)
    return events_of_columns(columns)


def _seconds(path: Path, number: int, date: Any) -> int:
    try:
        day = datetime.date.fromisoformat(date)
    except (TypeError, ValueError):
        bad_line(path, number, f"field 'date' is {date!r}", _REVIEW)
    return (day - datetime.date(1970, 1, 1)).days * 86_400


def _read_games(path: Path, wanted: Set[str], keep_first: bool, scraps: Scraps) -> ListedOnce[ItemRecord]:
    mend = "each game once, or copies of it (duplicates='keep_first' goes by the earlier line)"
    games = ListedOnce[ItemRecord](path, 'game', mend=mend, keep_first=keep_first)
    for number, record in json_records(path, python_literals=True):
        # A few entries of the shop are bundles without an id, of which there are no reviews.
        if record.get('id') is None:
            continue
        game = text_id(path, number, record, 'id', "a game with its 'id'")
        if game in wanted:
            games.add(number, game, _game(record, scraps))
    return games


def _game(record: dict[str, Any], scraps: Scraps) -> ItemRecord:
    price = record.get('price')
    free = isinstance(price, str) and 'free' in price.lower()
    return ItemRecord(
        title=scraped_text.line(record.get('app_name') or record.get('title'), 'title', scraps),
        brand=scraped_text.brand(record.get('developer') or record.get('publisher'), scraps),
        categories=scraped_text.path(_names(record.get('genres')), scraps),
        description=', '.join(scraped_text.path(_names(record.get('tags')), scraps)),
        price=0.0 if free else scraped_text.price(price, scraps),
    )


def _names(value: Any) -> list:
    return value if isinstance(value, list) else []
