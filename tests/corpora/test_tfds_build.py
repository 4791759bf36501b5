"""`tfds build` as people call it, on files in the forms in which they are published."""

import json

import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.scripts.cli import build, cli_utils

from llmrec_jax.corpora import builders
from llmrec_jax.corpora.movielens import MovieLens
from llmrec_jax.corpora.prepare import load_corpus, prepare
from llmrec_jax.corpora.simulated_shop.source import SimulatedShop
from llmrec_jax.corpora.tfds_configs import CorpusConfig
from tests.corpora import published_forms
from tests.corpora.sequence_directory import write_directory
from tests.corpora.test_amazon_reviews_2014 import REVIEWS, write
from tests.corpora.test_movielens import write as write_movielens


def tfds_build(dataset: str, *flags: str) -> None:
    """Runs the command; `tfds` itself starts where Beam is installed, and does the same."""
    parse = cli_utils.make_flags_parser(build.Args, description='tfds build')
    parse(['tfds build', dataset, '--imports=llmrec_jax.corpora.builders', *flags]).execute()


def write_tables(directory):
    directory.mkdir()
    (directory / 'events.csv').write_text('user,item,time\nann,lamp,30\nann,pen,20\nbob,pen,10\n')
    return str(directory)


def form(files):
    return lambda directory: published_forms.write(directory, files)


AMAZON_2018 = {'All_Beauty_5.json.gz': REVIEWS, 'meta_All_Beauty.json.gz': [{'asin': 'A1', 'title': 'T'}]}
# Data set -> writes its files, the setting that names their folder, and further ones.
SOURCES = {
    'amazon_reviews_2014': (write, 'manual_dir', {'k_core': 1}),
    'amazon_reviews_2018': (form(AMAZON_2018), 'manual_dir', {'k_core': 1}),
    'amazon_reviews_2023': (form(published_forms.AMAZON_2023), 'manual_dir', {'k_core': 1}),
    'goodreads': (form(published_forms.GOODREADS), 'manual_dir', {'k_core': 1}),
    'movielens': (lambda directory: write_movielens(directory, '1m'), 'manual_dir', {'variant': '1m'}),
    'sequence_files': (lambda directory: str(write_directory(directory)), 'directory', {}),
    'steam': (form(published_forms.STEAM), 'manual_dir', {'k_core': 1}),
    'tables': (write_tables, 'interactions', {'time_format': 's'}),
    'yelp': (form(published_forms.YELP), 'manual_dir', {'k_core': 1}),
}


@pytest.mark.parametrize('name', SOURCES)
def test_recipes_find_what_tfds_builds_of_a_source_with_settings(tmp_path, monkeypatch, name):
    write_files, place, further = SOURCES[name]
    settings = {place: write_files(tmp_path / 'files'), **further}
    for table in ('items', 'users'):
        config = json.dumps({'table': table, 'settings': settings})
        tfds_build(f'llmrec_{name}', f'--config={config}', f'--data_dir={tmp_path / "data"}')
    source = tfds.builder_cls(f'llmrec_{name}').source(**settings)
    expected = source.build().fingerprint()
    # What is there is not built again.
    monkeypatch.setattr(type(source), 'build', lambda _: pytest.fail('the corpus is built'))
    assert load_corpus(prepare(source, tmp_path / 'data')).fingerprint() == expected


def test_files_by_hand_are_taken_from_the_manual_dir(tmp_path):
    directory = write_movielens(tmp_path / 'files', 'latest-small', packed=True)
    flags = f'--manual_dir={directory}', f'--data_dir={tmp_path / "data"}'
    tfds_build('llmrec_movielens', '--config=latest-small-users', *flags)
    info = tfds.builder('llmrec_movielens/latest-small-users', data_dir=tmp_path / 'data').info
    assert info.metadata['fingerprint'] == MovieLens(manual_dir=directory).build().fingerprint()
    assert info.splits['train'].num_examples == 2
    assert 'Harper' in info.citation


@pytest.mark.parametrize('name', ['sequence_files', 'tables'])
def test_the_manual_dir_may_be_a_folder_of_ones_own(tmp_path, name):
    directory = SOURCES[name][0](tmp_path / 'shop')
    flags = f'--manual_dir={directory}', f'--data_dir={tmp_path / "data"}'
    tfds_build(f'llmrec_{name}/folder-users', *flags)
    info = tfds.builder(f'llmrec_{name}/folder-users', data_dir=tmp_path / 'data').info
    assert info.metadata['corpus'] == f'{name}/shop'
    expected = tfds.builder_cls(f'llmrec_{name}').source(directory).build()
    assert info.metadata['fingerprint'] == expected.fingerprint()


def test_all_configs_are_built_where_none_is_named(tmp_path):
    tfds_build('llmrec_simulated_shop', f'--data_dir={tmp_path}', '--max_examples_per_split=3')
    for table in ('items', 'users'):
        builder = tfds.builder(f'llmrec_simulated_shop/quickstart-{table}', data_dir=tmp_path)
        assert builder.info.metadata['corpus'] == SimulatedShop().name
        assert len(list(builder.as_dataset(split='train'))) == 3


@pytest.mark.parametrize(
    ('dataset', 'config', 'named'),
    [
        ('llmrec_tables', {'settings': {'interaction': 'x'}}, 'interaction'),
        ('llmrec_tables', {'settings': {'items': 'x'}}, 'interactions'),
        ('llmrec_tables', {'settings': {'interactions': 'x'}, 'table': 'user'}, 'table'),
        ('llmrec_steam', {'settings': {}}, 'manual_dir'),
    ],
)
def test_settings_that_make_no_corpus_are_named(tmp_path, dataset, config, named):
    with pytest.raises(ValueError, match=named):
        tfds_build(dataset, f'--config={json.dumps(config)}', f'--data_dir={tmp_path}')
    assert not list(tmp_path.iterdir())


def test_a_builder_of_no_source_has_no_settings(tmp_path):
    with pytest.raises(ValueError, match='no source'):
        builders.OtherCorpusBuilder(config=CorpusConfig(settings={}), data_dir=tmp_path)
