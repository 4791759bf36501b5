"""Amazon's product reviews with their metadata (McAuley et al., 2015), from the raw files."""

import dataclasses
import html
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.raw_events import (
    DUPLICATES,
    TIES,
    ItemRecord,
    RawEvents,
    assemble,
    core_events,
    without_duplicates,
)
from llmrec_jax.corpora.raw_files import bad_line, file_sha256, json_line, numbered_lines, well_formed
from llmrec_jax.corpora.source import location, one_of

CATEGORIES = {'beauty': 'Beauty', 'sports': 'Sports_and_Outdoors', 'toys': 'Toys_and_Games'}
METADATA = ('required', 'absent')
_REVIEW = 'a review with reviewerID, asin, overall (stars) and unixReviewTime (seconds)'
_ASIN = re.compile(r"""['"]asin['"]\s*:\s*['"]([^'"]*)['"]""")
_PRICE = re.compile(r'\$\s*([0-9][0-9,]*(?:\.[0-9]+)?)')


@dataclasses.dataclass(frozen=True)
class AmazonReviews2014:
    """The 5-core reviews of one category, and the metadata of its products.

    Reads `reviews_<Category>_5.json.gz` and `meta_<Category>.json.gz` as published in 2014, whose metadata
    are Python literals; and `<Category>_5.json.gz` with `meta_<Category>.json.gz` as published in 2018. The
    defaults build what S3-Rec, P5 and TIGER report on: all ratings, a stable sort by time, the 5-core.

    Attributes:
      category: 'beauty', 'sports', 'toys', or any category as its file spells it ('Musical_Instruments').
      manual_dir: the directory of the files; None downloads them from `url_root` when the corpus is prepared.
      metadata: 'required', or 'absent' for a corpus whose items are known by their ids alone.
      k_core: fewest events of every user and item, applied until it holds for all; 1 keeps everything.
      duplicates: what to do when user, item and time come again: 'error' or 'keep_first'. The same pair at
        another time is another event.
      ties: order of events of the same day, see `raw_events.time_order`.
      tie_seed: seed of `ties='shuffled'`.
      relabel_seed: seed of the random rows of users and items; None keeps the file's order.
      url_root: where the files of 2014 are published.
    """

    category: str = 'beauty'
    manual_dir: str | None = location(None)
    metadata: str = 'required'
    k_core: int = 5
    duplicates: str = 'error'
    ties: str = 'file_order'
    tie_seed: int = 0
    relabel_seed: int | None = 0
    url_root: str = location('https://snap.stanford.edu/data/amazon/productGraph/categoryFiles')

    def __post_init__(self):
        one_of('AmazonReviews2014.metadata', self.metadata, METADATA)
        one_of('AmazonReviews2014.duplicates', self.duplicates, DUPLICATES)
        one_of('AmazonReviews2014.ties', self.ties, TIES)

    @property
    def name(self) -> str:
        """'amazon_reviews_2014/' and the category in lower case."""
        return f'amazon_reviews_2014/{self.category.lower()}'

    @property
    def published_category(self) -> str:
        """The category as the files spell it."""
        return CATEGORIES.get(self.category.lower(), self.category)

    def urls(self) -> Mapping[str, str]:
        """File name -> where it is published."""
        names = [f'reviews_{self.published_category}_5.json.gz']
        if self.metadata == 'required':
            names.append(f'meta_{self.published_category}.json.gz')
        return {name: f'{self.url_root}/{name}' for name in names}

    def input_files(self) -> Mapping[str, Path]:
        """The reviews and, unless they are absent, the metadata.

        Raises:
          FileNotFoundError: when one is missing, naming what was looked for and how to mend it.
        """
        if self.manual_dir is None:
            raise FileNotFoundError(
                f'{self.name}: the files are not at hand; set AmazonReviews2014.manual_dir to the directory '
                'that holds them, or download them with llmrec_jax.corpora.prepare.prepare'
            )
        directory = Path(self.manual_dir).expanduser()
        category = self.published_category
        reviews = _first_file(
            directory,
            (f'reviews_{category}_5.json.gz', f'{category}_5.json.gz'),
            f'set manual_dir to the directory that holds it, or download it from {self.url_root}',
        )
        files = {reviews.name: reviews}
        if self.metadata == 'required':
            metadata = _first_file(
                directory,
                (f'meta_{category}.json.gz',),
                f"download it from {self.url_root}, or set metadata='absent' for items without title, brand, "
                'categories, description and price',
            )
            files[metadata.name] = metadata
        return files

    def build(self) -> Corpus:
        """Reads the files, filters, sorts, relabels.

        Raises:
          FileNotFoundError: when a file is missing.
          ValueError: naming file and line, when a file is cut short, a line is malformed, or an event comes
            again under `duplicates='error'`; and when the k-core is empty.
        """
        files = self.input_files()
        reviews, *metadata = files.values()
        read = _read_reviews(reviews)
        once = without_duplicates(read, reviews, self.duplicates)
        core = core_events(once, self.k_core, self.name)
        wanted = set(core.item_id)
        catalogue = dict(_read_metadata(metadata[0], wanted)) if metadata else {}
        provenance = {
            'source': 'amazon_reviews_2014',
            'files': {name: file_sha256(path) for name, path in files.items()},
            'events_read': len(read),
            'duplicates': self.duplicates,
            'duplicates_dropped': len(read) - len(once),
            'k_core': self.k_core,
            'metadata': self.metadata,
            'items_without_metadata': len(wanted - set(catalogue)),
        }
        return assemble(
            self.name,
            core,
            catalogue,
            {},
            ties=self.ties,
            tie_seed=self.tie_seed,
            relabel_seed=self.relabel_seed,
            provenance=provenance,
        )


def _first_file(directory: Path, names: tuple[str, ...], mend: str) -> Path:
    for name in names:
        if (directory / name).is_file():
            return directory / name
    raise FileNotFoundError(f'{directory} has no {" or ".join(names)}; {mend}')


def _read_reviews(path: Path) -> RawEvents:
    """The reviews in file order; the forms of 2014 and 2018 name these fields alike."""
    columns: tuple[list, ...] = ([], [], [], [], [], [], [])
    for number, line in numbered_lines(path):
        record = json_line(path, number, line)
        for field, kinds in (
            ('reviewerID', str),
            ('asin', str),
            ('unixReviewTime', int),
            ('overall', int | float),
        ):
            if not isinstance(record.get(field), kinds):
                bad_line(path, number, f'field {field!r} is {record.get(field)!r}', _REVIEW)
        values = (
            number,
            well_formed(record['reviewerID']),
            well_formed(record['asin']),
            record['unixReviewTime'],
            record['overall'],
            _text(record.get('summary')),
            _text(record.get('reviewText')),
        )
        for column, value in zip(columns, values):
            column.append(value)
    line, user_id, item_id, timestamp, rating, summary, review = columns
    return RawEvents(
        np.asarray(line),
        user_id,
        item_id,
        np.asarray(timestamp, np.int64),
        np.asarray(rating, np.float32),
        summary,
        review,
    )


def _read_metadata(path: Path, wanted: Collection[str]) -> Iterator[tuple[str, ItemRecord]]:
    """The products in `wanted`; the lines of others, twenty times as many, are not parsed."""
    for number, line in numbered_lines(path):
        asins = _ASIN.findall(line)
        if asins and wanted.isdisjoint(asins):
            continue
        record = json_line(path, number, line, python_literals=True)
        if not isinstance(record.get('asin'), str):
            bad_line(path, number, f"field 'asin' is {record.get('asin')!r}", "a product with its 'asin'")
        if record['asin'] in wanted:
            yield (
                record['asin'],
                ItemRecord(
                    title=_text(record.get('title')),
                    brand=_text(record.get('brand')),
                    categories=_categories(record.get('categories', record.get('category'))),
                    description=_text(record.get('description')),
                    price=_price(record.get('price')),
                ),
            )


def _text(value: Any) -> str:
    """The text without the escapes of HTML; the files of 2018 split descriptions in parts."""
    parts = value if isinstance(value, list) else [value]
    return well_formed(html.unescape('\n'.join(part for part in parts if isinstance(part, str)))).strip()


def _categories(value: Any) -> tuple[str, ...]:
    """The first path (2014: a list of paths; 2018: one path)."""
    path = value[0] if value and isinstance(value[0], list) else value
    return tuple(_text(name) for name in path or ())


def _price(value: Any) -> float:
    """A number (2014) or '$25.00' (2018); ranges and scraps of HTML, which 2018 has too, are unknown."""
    if isinstance(value, int | float):
        return float(value)
    match = _PRICE.fullmatch(value.strip()) if isinstance(value, str) else None
    return float(match[1].replace(',', '')) if match else float('nan')
