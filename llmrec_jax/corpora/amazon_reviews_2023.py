"""Amazon's product reviews of 2023 (Hou et al., 2024): the raw reviews, or the published benchmark files."""

import dataclasses
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from llmrec_jax.corpora import citations, scraped_text
from llmrec_jax.corpora.amazon_files import checked, events_of_columns, read_products, text_id
from llmrec_jax.corpora.amazon_reviews_2014 import METADATA
from llmrec_jax.corpora.raw_events import ItemRecord, RawEvents, without_duplicates
from llmrec_jax.corpora.raw_files import (
    bad_line,
    csv_rows,
    finite,
    first_file,
    is_number,
    is_whole,
    json_records,
    numbered_lines,
    whole,
)
from llmrec_jax.corpora.raw_source import RawSource, RawTables
from llmrec_jax.corpora.scraped_text import Scraps
from llmrec_jax.corpora.source import About, location, one_of

# The files that events are read from: every review with its text; ratings alone, of which a benchmark's file
# is whole ('rating_only') or in three parts, by each user's last events or by two dates that hold for all.
REVIEWS, RATING_ONLY, LAST_OUT, TIMESTAMP = 'reviews', 'rating_only', 'last_out', 'timestamp'
FORMS = (REVIEWS, RATING_ONLY, LAST_OUT, TIMESTAMP)
PUBLISHED_CORES = ('0core', '5core')
_PARTS = ('train', 'valid', 'test')
_HEADER = ['user_id', 'parent_asin', 'rating', 'timestamp']
_REVIEW = 'a review with user_id, parent_asin, rating (stars) and timestamp (milliseconds)'
_MILLISECONDS = 1000


@dataclasses.dataclass(frozen=True)
class AmazonReviews2023(RawSource):
    """The reviews or ratings of one category, and the metadata of its products.

    A product is known by its `parent_asin`, which its colours and sizes share. Times are published in
    milliseconds: they order the events, and the corpus keeps whole seconds. The settings that all published
    events share are told in `raw_source.RawSource`.

    Attributes:
      category: as its file spells it ('All_Beauty').
      manual_dir: the directory of the files, gzipped or not; None downloads them from `url_root` when the
        corpus is prepared.
      form: 'reviews' reads `<Category>.jsonl`, with texts; 'rating_only' reads the benchmark's
        `<Category>.csv`; 'last_out' and 'timestamp' read its `<Category>.train.csv`, `.valid.csv` and
        `.test.csv`, whose bounds in time the provenance tells (`published_parts`).
      published_core: '5core' or '0core', where a benchmark's file is downloaded from.
      metadata: 'required', or 'absent' for a corpus whose items are known by their ids alone.
      k_core: as in `raw_source.RawSource`; 1 takes a benchmark's file as it is.
      url_root: where the files are published.
    """

    category: str = 'All_Beauty'
    manual_dir: str | None = location(None)
    form: str = REVIEWS
    published_core: str = '5core'
    metadata: str = 'required'
    k_core: int = dataclasses.field(default=5, kw_only=True)
    url_root: str = location('https://mcauleylab.ucsd.edu/public_datasets/data/amazon_2023')
    kind: ClassVar[str] = 'amazon_reviews_2023'
    about: ClassVar[About] = citations.AMAZON_2023

    def __post_init__(self):
        super().__post_init__()
        one_of('AmazonReviews2023.form', self.form, FORMS)
        one_of('AmazonReviews2023.published_core', self.published_core, PUBLISHED_CORES)
        one_of('AmazonReviews2023.metadata', self.metadata, METADATA)

    @property
    def name(self) -> str:
        """'amazon_reviews_2023/' and the category in lower case, with the form unless it is the reviews."""
        form = '' if self.form == REVIEWS else f'_{self.form}'
        return f'{self.kind}/{self.category.lower()}{form}'

    def _event_files(self) -> tuple[str, ...]:
        if self.form == REVIEWS:
            return (f'{self.category}.jsonl',)
        if self.form == RATING_ONLY:
            return (f'{self.category}.csv',)
        return tuple(f'{self.category}.{part}.csv' for part in _PARTS)

    def urls(self) -> Mapping[str, str]:
        """File name -> where it is published."""
        benchmark = f'benchmark/{self.published_core}/{self.form}'
        folder = 'raw/review_categories' if self.form == REVIEWS else benchmark
        found = {f'{name}.gz': f'{self.url_root}/{folder}/{name}.gz' for name in self._event_files()}
        if self.metadata == 'required':
            name = f'meta_{self.category}.jsonl.gz'
            found[name] = f'{self.url_root}/raw/meta_categories/{name}'
        return found

    def input_files(self) -> Mapping[str, Path]:
        """The files of events and, unless they are absent, the metadata.

        Raises:
          FileNotFoundError: when one is missing, naming what was looked for and how to mend it.
        """
        if self.manual_dir is None:
            raise FileNotFoundError(
                f'{self.name}: the files are not at hand; set AmazonReviews2023.manual_dir to the directory '
                'that holds them, or download them with llmrec_jax.corpora.prepare.prepare'
            )
        directory = Path(self.manual_dir).expanduser()
        mend = (
            'set AmazonReviews2023.manual_dir to the directory that holds it and AmazonReviews2023.form to '
            f'the kind of its files, or download it from {self.url_root}'
        )
        files = [first_file(directory, (f'{name}.gz', name), mend) for name in self._event_files()]
        if self.metadata == 'required':
            name = f'meta_{self.category}.jsonl'
            without = f"{mend}, or set AmazonReviews2023.metadata='absent' for items without text"
            files.append(first_file(directory, (f'{name}.gz', name), without))
        return {path.name: path for path in files}

    def read(self, files: Mapping[str, Path]) -> RawTables:
        """See `RawSource.read`."""
        paths = list(files.values())
        events_paths = paths[: len(self._event_files())]
        scraps = Scraps()
        facts: dict[str, Any] = {'metadata': self.metadata, 'form': self.form}
        if self.form == REVIEWS:
            events = _by_time(_read_reviews(events_paths[0], scraps))
        else:
            parts = [_read_ratings(path) for path in events_paths]
            if len(parts) > 1:
                for part, path in zip(parts, events_paths):
                    # Named by its own file, before all of them are looked at as one.
                    without_duplicates(part, path, self.duplicates)
                facts['published_parts'] = {name: _bounds(part) for name, part in zip(_PARTS, parts)}
            events = _by_time(_joined(parts))
        directory = events_paths[0].parent
        listed = events_paths[0] if len(events_paths) == 1 else directory / f'{self.category}.*.csv'
        tables = RawTables(_in_seconds(events), listed, scraps=scraps, facts=facts)

        def items(wanted: Set[str]) -> Mapping[str, ItemRecord]:
            products = read_products(
                paths[-1], wanted, 'parent_asin', self.duplicates == 'keep_first', scraps
            )
            facts['items_without_metadata'] = len(wanted) - len(products.records)
            facts['repeated_item_lines'] = products.repeated
            return products.records

        if self.metadata == 'required':
            tables.items = items
        return tables


def _read_reviews(path: Path, scraps: Scraps) -> RawEvents:
    columns: tuple[list, ...] = ([], [], [], [], [], [], [])
    for number, record in json_records(path):
        values = (
            number,
            text_id(path, number, record, 'user_id', _REVIEW),
            text_id(path, number, record, 'parent_asin', _REVIEW),
            checked(path, number, record, 'timestamp', is_whole, _REVIEW),
            checked(path, number, record, 'rating', is_number, _REVIEW),
            scraped_text.opinion(record.get('title'), 'summary', scraps),
            scraped_text.opinion(record.get('text'), 'review', scraps),
        )
        for column, value in zip(columns, values):
            column.append(value)
    return events_of_columns(columns)


def _read_ratings(path: Path) -> RawEvents:
    """The ratings of a file with the header of the benchmark, whose later columns are passed over."""
    expected = ','.join(_HEADER)
    rows = csv_rows(numbered_lines(path), path, expected)
    number, header = next(rows, (1, []))
    if [name.strip() for name in header[:4]] != _HEADER:
        bad_line(path, number, f'{",".join(header)!r}', f'a header that begins with {expected}')
    columns: tuple[list, ...] = ([], [], [], [])
    lines: list[int] = []
    for number, fields in rows:
        if len(fields) != len(header):
            bad_line(path, number, f'{len(fields)} fields', f'{len(header)}, as the header has')
        user, item = fields[0].strip(), fields[1].strip()
        if not (user and item):
            bad_line(path, number, 'a user or a product without id', expected)
        try:
            values = (user, item, whole(fields[3]), finite(fields[2]))
        except ValueError:
            bad_line(path, number, f'{",".join(fields[:4])!r}', expected)
        lines.append(number)
        for column, value in zip(columns, values):
            column.append(value)
    none = [''] * len(lines)
    return events_of_columns((lines, *columns, none, none))


def _joined(parts: list[RawEvents]) -> RawEvents:
    if len(parts) == 1:
        return parts[0]
    columns = {}
    for field in dataclasses.fields(RawEvents):
        values = [getattr(part, field.name) for part in parts]
        is_array = isinstance(values[0], np.ndarray)
        columns[field.name] = np.concatenate(values) if is_array else [one for part in values for one in part]
    return RawEvents(**columns)


def _by_time(events: RawEvents) -> RawEvents:
    """The events by their milliseconds, so that what ties in seconds alone keeps its order."""
    return events.take(np.argsort(events.timestamp, kind='stable'))


def _in_seconds(events: RawEvents) -> RawEvents:
    return dataclasses.replace(events, timestamp=events.timestamp // _MILLISECONDS)


def _bounds(part: RawEvents) -> dict[str, int]:
    """How many events a part holds, and its first and last second."""
    if not len(part):
        return {'events': 0}
    seconds = part.timestamp // _MILLISECONDS
    return {'events': len(part), 'first': int(seconds.min()), 'last': int(seconds.max())}
