"""Amazon's product reviews of 2014 and 2018 (McAuley et al., 2015; Ni et al., 2019), from the raw files."""

import dataclasses
from collections.abc import Mapping, Set
from pathlib import Path
from typing import ClassVar

from llmrec_jax.corpora import citations
from llmrec_jax.corpora.amazon_files import read_products, read_reviews
from llmrec_jax.corpora.raw_events import ItemRecord
from llmrec_jax.corpora.raw_files import first_file
from llmrec_jax.corpora.raw_source import RawSource, RawTables
from llmrec_jax.corpora.scraped_text import Scraps
from llmrec_jax.corpora.source import About, location, one_of

CATEGORIES = {'beauty': 'Beauty', 'sports': 'Sports_and_Outdoors', 'toys': 'Toys_and_Games'}
METADATA = ('required', 'absent')


@dataclasses.dataclass(frozen=True)
class AmazonReviews2014(RawSource):
    """The 5-core reviews of one category, and the metadata of its products.

    Reads `reviews_<Category>_5.json.gz` and `meta_<Category>.json.gz` as published in 2014, whose metadata
    are Python literals; and the files of `AmazonReviews2018`. The defaults build what S3-Rec, P5 and TIGER
    report on (all ratings, a stable sort by time, the 5-core) but for one thing: the published files list
    reviews by product, so that reviews of one day stand in the order of the products' ids, which models
    learn; such ties are shuffled, unless `ties='item_id'` asks for the published order. The settings that all
    published events share are told in `raw_source.RawSource`.

    Attributes:
      category: 'beauty', 'sports', 'toys', or any category as its file spells it ('Musical_Instruments').
      manual_dir: the directory of the files; None downloads them from `url_root` when the corpus is prepared.
      metadata: 'required', or 'absent' for a corpus whose items are known by their ids alone.
      k_core: as in `raw_source.RawSource`.
      url_root: where the files are published.
    """

    category: str = 'beauty'
    manual_dir: str | None = location(None)
    metadata: str = 'required'
    k_core: int = dataclasses.field(default=5, kw_only=True)
    url_root: str = location('https://snap.stanford.edu/data/amazon/productGraph/categoryFiles')
    kind: ClassVar[str] = 'amazon_reviews_2014'
    about: ClassVar[About] = citations.AMAZON_2014
    # Where below `url_root` reviews and metadata lie.
    folders: ClassVar[tuple[str, str]] = ('', '')

    def __post_init__(self):
        super().__post_init__()
        one_of(f'{type(self).__name__}.metadata', self.metadata, METADATA)

    @property
    def name(self) -> str:
        """The kind of source, and the category in lower case."""
        return f'{self.kind}/{self.category.lower()}'

    @property
    def published_category(self) -> str:
        """The category as the files spell it."""
        return CATEGORIES.get(self.category.lower(), self.category)

    @property
    def review_files(self) -> tuple[str, ...]:
        """Names that the file of reviews may have, that of this source first."""
        category = self.published_category
        return f'reviews_{category}_5.json.gz', f'{category}_5.json.gz'

    def urls(self) -> Mapping[str, str]:
        """File name -> where it is published."""
        names = [self.review_files[0]]
        if self.metadata == 'required':
            names.append(f'meta_{self.published_category}.json.gz')
        return {name: f'{self.url_root}/{folder}{name}' for name, folder in zip(names, self.folders)}

    def input_files(self) -> Mapping[str, Path]:
        """The reviews and, unless they are absent, the metadata.

        Raises:
          FileNotFoundError: when one is missing, naming what was looked for and how to mend it.
        """
        source = type(self).__name__
        if self.manual_dir is None:
            raise FileNotFoundError(
                f'{self.name}: the files are not at hand; set {source}.manual_dir to the directory '
                'that holds them, or download them with llmrec_jax.corpora.prepare.prepare'
            )
        directory = Path(self.manual_dir).expanduser()
        reviews = first_file(
            directory,
            self.review_files,
            f'set {source}.manual_dir to the directory that holds it, or download it from {self.url_root}',
        )
        files = {reviews.name: reviews}
        if self.metadata == 'required':
            metadata = first_file(
                directory,
                (f'meta_{self.published_category}.json.gz',),
                f"download it from {self.url_root}, or set {source}.metadata='absent' for items without "
                'title, brand, categories, description and price',
            )
            files[metadata.name] = metadata
        return files

    def read(self, files: Mapping[str, Path]) -> RawTables:
        """See `RawSource.read`."""
        reviews, *metadata = files.values()
        scraps = Scraps()
        tables = RawTables(
            read_reviews(reviews, scraps),
            reviews,
            scraps=scraps,
            facts={'metadata': self.metadata},
        )

        def items(wanted: Set[str]) -> Mapping[str, ItemRecord]:
            products = read_products(metadata[0], wanted, 'asin', self.duplicates == 'keep_first', scraps)
            tables.facts['items_without_metadata'] = len(wanted) - len(products.records)
            tables.facts['repeated_item_lines'] = products.repeated
            return products.records

        if metadata:
            tables.items = items
        return tables


@dataclasses.dataclass(frozen=True)
class AmazonReviews2018(AmazonReviews2014):
    """The 5-core reviews of one category as published in 2018, and the metadata of its products.

    Reads `<Category>_5.json.gz` and `meta_<Category>.json.gz`. The metadata were taken from web pages, with
    scripts, style sheets and tags among the values: what is left is text, and the provenance counts the rest
    (`scraps_removed`). Everything else is as in `AmazonReviews2014`.

    Attributes:
      category: as its file spells it ('All_Beauty').
      url_root: where the files are published.
    """

    category: str = 'All_Beauty'
    url_root: str = location('https://mcauleylab.ucsd.edu/public_datasets/data/amazon_v2')
    kind: ClassVar[str] = 'amazon_reviews_2018'
    about: ClassVar[About] = citations.AMAZON_2018
    folders: ClassVar[tuple[str, str]] = ('categoryFilesSmall/', 'metaFiles2/')

    @property
    def published_category(self) -> str:
        """The category as the files spell it."""
        return self.category

    @property
    def review_files(self) -> tuple[str, ...]:
        """Names that the file of reviews may have."""
        return (f'{self.published_category}_5.json.gz',)
