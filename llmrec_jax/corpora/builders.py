"""The TFDS builders of the sources in the library; importing this module registers them with TFDS.

Then `tfds.load('llmrec_amazon_reviews_2014/beauty-users')` and the like work; `prepare.prepare` uses the same
builders for sources with other settings.
"""

from typing import ClassVar

from llmrec_jax.corpora.amazon_reviews_2014 import CATEGORIES, AmazonReviews2014
from llmrec_jax.corpora.movielens import MovieLens
from llmrec_jax.corpora.movielens_formats import FORMATS
from llmrec_jax.corpora.sequence_files import SequenceFiles
from llmrec_jax.corpora.simulated_shop.source import SimulatedShop
from llmrec_jax.corpora.source import CorpusSource
from llmrec_jax.corpora.tfds_builder import CorpusBuilder, CorpusConfig, table_configs


class SimulatedShopBuilder(CorpusBuilder):
    """The simulated shop in its default size."""

    name = 'llmrec_simulated_shop'
    BUILDER_CONFIGS: ClassVar[list[CorpusConfig]] = table_configs([SimulatedShop()])


class AmazonReviews2014Builder(CorpusBuilder):
    """Amazon's reviews of 2014: the three categories that papers report on."""

    name = 'llmrec_amazon_reviews_2014'
    BUILDER_CONFIGS: ClassVar[list[CorpusConfig]] = table_configs(
        [AmazonReviews2014(category) for category in CATEGORIES]
    )


class MovieLensBuilder(CorpusBuilder):
    """MovieLens in every variant."""

    name = 'llmrec_movielens'
    BUILDER_CONFIGS: ClassVar[list[CorpusConfig]] = table_configs([MovieLens(variant) for variant in FORMATS])


class SequenceFilesBuilder(CorpusBuilder):
    """Directories in the form of S3-Rec and P5; none is published, so TFDS lists no config."""

    name = 'llmrec_sequence_files'


class OtherCorpusBuilder(CorpusBuilder):
    """Corpora of sources that are defined outside the library."""

    name = 'llmrec_other_corpus'


_BUILDERS = {
    SimulatedShop: SimulatedShopBuilder,
    AmazonReviews2014: AmazonReviews2014Builder,
    MovieLens: MovieLensBuilder,
    SequenceFiles: SequenceFilesBuilder,
}


def builder_class(source: CorpusSource) -> type[CorpusBuilder]:
    """The TFDS builder that writes the corpus of `source`."""
    return _BUILDERS.get(type(source), OtherCorpusBuilder)
