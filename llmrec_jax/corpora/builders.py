"""The TFDS builders of the sources in the library; importing this module registers them with TFDS.

Then `tfds.load('llmrec_amazon_reviews_2014/beauty-users')` and the like work, as `tfds build` does with
`--imports=llmrec_jax.corpora.builders`; `prepare.prepare` uses the same builders for sources with other
settings. A builder of one's own stands in one's own module:

    class MyShopBuilder(CorpusBuilder):
        name = 'my_shop'
        source = MyShop
        BUILDER_CONFIGS = table_configs([MyShop('2024'), MyShop('2025')])
"""

from typing import ClassVar

from llmrec_jax.corpora.amazon_reviews_2014 import CATEGORIES, AmazonReviews2014, AmazonReviews2018
from llmrec_jax.corpora.amazon_reviews_2023 import REVIEWS, TIMESTAMP, AmazonReviews2023
from llmrec_jax.corpora.goodreads import Goodreads
from llmrec_jax.corpora.movielens import MovieLens
from llmrec_jax.corpora.movielens_formats import FORMATS
from llmrec_jax.corpora.sequence_files import SequenceFiles
from llmrec_jax.corpora.simulated_shop.source import SimulatedShop
from llmrec_jax.corpora.source import CorpusSource
from llmrec_jax.corpora.steam import Steam
from llmrec_jax.corpora.tables.source import Tables
from llmrec_jax.corpora.tfds_builder import CorpusBuilder
from llmrec_jax.corpora.tfds_configs import MANUAL_DIR, CorpusConfig, table_configs, url_infos
from llmrec_jax.corpora.yelp import Yelp

_CATEGORIES_2018 = (
    'AMAZON_FASHION', 'All_Beauty', 'Appliances', 'Arts_Crafts_and_Sewing', 'Automotive', 'Books',
    'CDs_and_Vinyl', 'Cell_Phones_and_Accessories', 'Clothing_Shoes_and_Jewelry', 'Digital_Music',
    'Electronics', 'Gift_Cards', 'Grocery_and_Gourmet_Food', 'Home_and_Kitchen', 'Industrial_and_Scientific',
    'Kindle_Store', 'Luxury_Beauty', 'Magazine_Subscriptions', 'Movies_and_TV', 'Musical_Instruments',
    'Office_Products', 'Patio_Lawn_and_Garden', 'Pet_Supplies', 'Prime_Pantry', 'Software',
    'Sports_and_Outdoors', 'Tools_and_Home_Improvement', 'Toys_and_Games', 'Video_Games',
)  # fmt: skip
_CATEGORIES_2023 = (
    'All_Beauty', 'Amazon_Fashion', 'Appliances', 'Arts_Crafts_and_Sewing', 'Automotive', 'Baby_Products',
    'Beauty_and_Personal_Care', 'Books', 'CDs_and_Vinyl', 'Cell_Phones_and_Accessories',
    'Clothing_Shoes_and_Jewelry', 'Digital_Music', 'Electronics', 'Gift_Cards', 'Grocery_and_Gourmet_Food',
    'Handmade_Products', 'Health_and_Household', 'Health_and_Personal_Care', 'Home_and_Kitchen',
    'Industrial_and_Scientific', 'Kindle_Store', 'Magazine_Subscriptions', 'Movies_and_TV',
    'Musical_Instruments', 'Office_Products', 'Patio_Lawn_and_Garden', 'Pet_Supplies', 'Software',
    'Sports_and_Outdoors', 'Subscription_Boxes', 'Tools_and_Home_Improvement', 'Toys_and_Games',
    'Video_Games',
)  # fmt: skip
_GENRES = (
    'children', 'comics_graphic', 'fantasy_paranormal', 'history_biography', 'mystery_thriller_crime',
    'poetry', 'romance', 'young_adult',
)  # fmt: skip
_MOVIELENS: list[CorpusSource] = [MovieLens(variant) for variant in FORMATS]


class SimulatedShopBuilder(CorpusBuilder):
    """The simulated shop in its default size."""

    name = 'llmrec_simulated_shop'
    source = SimulatedShop
    BUILDER_CONFIGS: ClassVar[list[CorpusConfig]] = table_configs([SimulatedShop()])


class AmazonReviews2014Builder(CorpusBuilder):
    """Amazon's reviews of 2014: the three categories that papers report on."""

    name = 'llmrec_amazon_reviews_2014'
    source = AmazonReviews2014
    BUILDER_CONFIGS: ClassVar[list[CorpusConfig]] = table_configs(
        [AmazonReviews2014(category) for category in CATEGORIES]
    )


class AmazonReviews2018Builder(CorpusBuilder):
    """Amazon's reviews of 2018: every category of which a 5-core is published."""

    name = 'llmrec_amazon_reviews_2018'
    source = AmazonReviews2018
    BUILDER_CONFIGS: ClassVar[list[CorpusConfig]] = table_configs(
        [AmazonReviews2018(category) for category in _CATEGORIES_2018]
    )


class AmazonReviews2023Builder(CorpusBuilder):
    """Amazon's reviews of 2023: every category, by its reviews and by the benchmark's parts in time."""

    name = 'llmrec_amazon_reviews_2023'
    source = AmazonReviews2023
    BUILDER_CONFIGS: ClassVar[list[CorpusConfig]] = table_configs(
        [
            AmazonReviews2023(category, form=form, k_core=5 if form == REVIEWS else 1)
            for category in _CATEGORIES_2023
            for form in (REVIEWS, TIMESTAMP)
        ]
    )


class MovieLensBuilder(CorpusBuilder):
    """MovieLens in every variant."""

    name = 'llmrec_movielens'
    source = MovieLens
    BUILDER_CONFIGS: ClassVar[list[CorpusConfig]] = table_configs(_MOVIELENS)
    url_infos = url_infos(_MOVIELENS)


class YelpBuilder(CorpusBuilder):
    """Yelp's Open Dataset."""

    name = 'llmrec_yelp'
    source = Yelp
    BUILDER_CONFIGS: ClassVar[list[CorpusConfig]] = table_configs([Yelp(MANUAL_DIR)])
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        'Agree to the terms of the Yelp Open Dataset and unpack its JSON files there: '
        'yelp_academic_dataset_review.json, yelp_academic_dataset_business.json and '
        'yelp_academic_dataset_user.json.'
    )


class SteamBuilder(CorpusBuilder):
    """Steam's reviews of games."""

    name = 'llmrec_steam'
    source = Steam
    BUILDER_CONFIGS: ClassVar[list[CorpusConfig]] = table_configs([Steam()])


class GoodreadsBuilder(CorpusBuilder):
    """Goodreads' interactions: every genre."""

    name = 'llmrec_goodreads'
    source = Goodreads
    BUILDER_CONFIGS: ClassVar[list[CorpusConfig]] = table_configs([Goodreads(genre) for genre in _GENRES])


class SequenceFilesBuilder(CorpusBuilder):
    """Directories in the form of S3-Rec and P5, of which TFDS's `manual_dir` is one."""

    name = 'llmrec_sequence_files'
    source = SequenceFiles
    BUILDER_CONFIGS: ClassVar[list[CorpusConfig]] = table_configs([SequenceFiles(MANUAL_DIR)], name='folder')
    MANUAL_DOWNLOAD_INSTRUCTIONS = 'The directory with sequential.txt and items.jsonl.'


class TablesBuilder(CorpusBuilder):
    """Tables of people's own, of which TFDS's `manual_dir` may be a folder."""

    name = 'llmrec_tables'
    source = Tables
    BUILDER_CONFIGS: ClassVar[list[CorpusConfig]] = table_configs([Tables(MANUAL_DIR)], name='folder')
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        'The folder with the parts of the table of interactions, or with the atomic files of RecBole.'
    )


class OtherCorpusBuilder(CorpusBuilder):
    """Corpora of sources that have no builder of their own."""

    name = 'llmrec_other_corpus'


def builder_class(source: CorpusSource) -> type[CorpusBuilder]:
    """The TFDS builder that writes the corpus of `source`: that of its class, wherever it is defined."""
    of_class = {builder.source: builder for builder in CorpusBuilder.__subclasses__()}
    return of_class.get(type(source), OtherCorpusBuilder)
