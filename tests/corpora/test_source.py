import dataclasses
import subprocess
import sys

import pytest

from llmrec_jax.corpora.movielens import MovieLens
from llmrec_jax.corpora.sequence_files import SequenceFiles
from llmrec_jax.corpora.simulated_shop.source import SimulatedShop
from llmrec_jax.corpora.source import CorpusSource, DownloadableSource, FileSource, identity
from tests.corpora.sequence_directory import write_directory
from tests.corpora.test_movielens import write as write_movielens


def test_sources_speak_the_protocols():
    assert all(
        isinstance(source, CorpusSource) for source in (SimulatedShop(), MovieLens(), SequenceFiles('.'))
    )
    assert isinstance(MovieLens(), DownloadableSource)
    assert isinstance(SequenceFiles('.'), FileSource)
    assert not isinstance(SequenceFiles('.'), DownloadableSource)
    assert not isinstance(SimulatedShop(), FileSource)


def test_identity_is_what_the_files_hold_and_not_where_they_lie(tmp_path):
    here, there = (SequenceFiles(str(write_directory(tmp_path / parent / 'shop'))) for parent in 'ab')
    assert identity(here) == identity(there)
    write_directory(tmp_path / 'b' / 'shop', ['1 1 2 3'])
    assert identity(here) != identity(there)


@pytest.mark.parametrize(
    'change', [{'k_core': 2}, {'ties': 'item_id'}, {'tie_seed': 1}, {'relabel_seed': None}]
)
def test_every_setting_is_part_of_the_identity(tmp_path, change):
    source = MovieLens('1m', write_movielens(tmp_path / 'raw', '1m'))
    assert identity(dataclasses.replace(source, **change)) != identity(source)
    assert identity(dataclasses.replace(source, url_root='https://mirror')) == identity(source)


def test_settings_inside_settings_are_part_of_the_identity():
    shop = SimulatedShop(size='tiny')
    behaviour = dataclasses.replace(shop.behaviour, taste_types=shop.behaviour.taste_types + 1)
    assert identity(dataclasses.replace(shop, behaviour=behaviour)) != identity(shop)


def test_building_a_corpus_imports_no_tensorflow():
    code = (
        'import sys\n'
        'from llmrec_jax.corpora import amazon_reviews_2014, movielens, sequence_files, splits\n'
        'from llmrec_jax.corpora.simulated_shop import source\n'
        "assert not {'tensorflow', 'tensorflow_datasets', 'seqio'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, '-c', code], check=True)
