"""Every source has a gin file that a recipe can take, and what messages advise can be set there."""

import pathlib

import pytest

from llmrec_jax.corpora.source import CorpusSource
from tests.recipes import load

PARTS = (
    'amazon_reviews', 'amazon_reviews_2018', 'amazon_reviews_2023', 'goodreads', 'movielens',
    'sequence_files', 'simulated_shop', 'steam', 'yelp',
)  # fmt: skip
RECIPE = ('gin_configs/sasrec/base.gin', 'DROPOUT=0.1', 'TRAIN_STEPS=1')
# What a source cannot do without.
PLACES = {'sequence_files': "CORPUS_DIR='data'", 'yelp': "MANUAL_DIR='data'"}


def configured(part: str, *bindings: str) -> CorpusSource:
    needed = [PLACES[part]] if part in PLACES else []
    return load(*RECIPE, *needed, *bindings, after=(f'gin_configs/parts/corpora/{part}.gin',)).corpus


@pytest.mark.parametrize('part', PARTS)
def test_a_part_gives_a_source(part):
    assert isinstance(configured(part), CorpusSource)


@pytest.mark.parametrize('part', [part for part in PARTS if part != 'simulated_shop'])
def test_what_messages_advise_can_be_bound(part):
    source = configured(part, "ITEMS_WITHOUT_TEXT='named'", "DUPLICATES='keep_first'")
    assert (source.items_without_text, source.duplicates) == ('named', 'keep_first')


@pytest.mark.parametrize(
    'part', [*(part for part in PARTS if part.startswith('amazon')), 'goodreads', 'steam']
)
def test_metadata_may_be_absent(part):
    assert configured(part, "METADATA='absent'").metadata == 'absent'


def test_macros_reach_their_fields():
    assert configured('movielens', "VARIANT='25m'", 'TAGS=3').tags == 3
    assert configured('amazon_reviews_2023', "FORM='timestamp'", 'K_CORE=1').form == 'timestamp'
    assert configured('amazon_reviews_2018', "CATEGORY='Home'").name == 'amazon_reviews_2018/home'
    assert configured('goodreads', "GENRE='romance'", "INTERACTIONS='read'").name == 'goodreads/romance_read'
    assert configured('sequence_files', "ITEM_TEXT='as_written'").text == 'as_written'
    assert configured('yelp', "USERS='absent'").users == 'absent'
    assert configured('steam', "MANUAL_DIR='games'").manual_dir == 'games'
    assert pathlib.Path(configured('sequence_files').directory).name == 'data'
