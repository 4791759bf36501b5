import contextlib
import dataclasses
import functools
import hashlib
import http.server
import threading

import pytest
import tensorflow_datasets as tfds

from llmrec_jax.corpora import builders
from llmrec_jax.corpora.amazon_reviews_2014 import AmazonReviews2014
from llmrec_jax.corpora.movielens import MovieLens
from llmrec_jax.corpora.prepare import load_corpus, prepare
from llmrec_jax.corpora.simulated_shop.source import SimulatedShop
from llmrec_jax.corpora.source import KnownFile
from llmrec_jax.corpora.tfds_builder import CorpusBuilder
from llmrec_jax.corpora.tfds_configs import MANUAL_DIR, table_configs
from llmrec_jax.corpora.yelp import Yelp
from tests.corpora.published_forms import READ_HTML, YELP
from tests.corpora.published_forms import write as write_forms
from tests.corpora.test_amazon_reviews_2014 import write as write_amazon
from tests.corpora.test_movielens import write as write_movielens


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def served(directory: str):
    handler = functools.partial(QuietHandler, directory=directory)
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f'http://127.0.0.1:{server.server_port}'
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_published_urls():
    assert MovieLens('100k').urls() == {
        'ml-100k.zip': 'https://files.grouplens.org/datasets/movielens/ml-100k.zip'
    }
    root = 'https://snap.stanford.edu/data/amazon/productGraph/categoryFiles'
    assert AmazonReviews2014('sports').urls() == {
        name: f'{root}/{name}'
        for name in ('reviews_Sports_and_Outdoors_5.json.gz', 'meta_Sports_and_Outdoors.json.gz')
    }
    assert list(AmazonReviews2014('Baby', metadata='absent').urls()) == ['reviews_Baby_5.json.gz']


def test_files_are_downloaded_once_and_found_again(tmp_path):
    published = write_movielens(tmp_path / 'published', '1m', packed=True)
    with served(published) as url:
        source = MovieLens('1m', url_root=url)
        prepared = prepare(source, tmp_path / 'data')
    # The server is gone: what follows reads what was kept.
    assert prepare(source, tmp_path / 'data') == prepared
    kept = tmp_path / 'data' / 'downloads' / 'movielens'
    assert [path.name for path in kept.iterdir()] == ['ml-1m.zip']
    by_hand = MovieLens('1m', manual_dir=str(kept))
    assert load_corpus(prepared).fingerprint() == by_hand.build().fingerprint()
    # Files by hand and files by download are the same files.
    assert prepare(by_hand, tmp_path / 'data') == prepared


def test_a_download_that_fails_says_so_and_leaves_nothing(tmp_path):
    published = write_amazon(tmp_path / 'published', metadata=None)
    with served(published) as url, pytest.raises(Exception, match=r'meta_Beauty.json.gz'):
        prepare(AmazonReviews2014(k_core=1, url_root=url), tmp_path / 'data')
    assert not list((tmp_path / 'data').glob('llmrec_*'))


OFFLINE = tfds.download.DownloadConfig(try_download_gcs=False)


def test_tfds_finds_the_sources_by_name(tmp_path):
    tables = ('items', 'users')
    assert set(builders.AmazonReviews2014Builder.builder_configs) == {
        f'{category}-{table}' for category in ('beauty', 'sports', 'toys') for table in tables
    }
    variants = ('100k', '1m', '10m', '20m', '25m', '32m', 'latest', 'latest-small')
    assert set(builders.MovieLensBuilder.builder_configs) == {
        f'{variant}-{table}' for variant in variants for table in tables
    }
    assert {'all_beauty-items', 'all_beauty_timestamp-users'} <= set(
        builders.AmazonReviews2023Builder.builder_configs
    )
    builder = tfds.builder('llmrec_simulated_shop/quickstart-items', data_dir=tmp_path)
    builder.download_and_prepare(download_config=OFFLINE)
    corpus = SimulatedShop().build()
    titles = {record['item']: record['title'] for record in tfds.as_numpy(builder.as_dataset(split='train'))}
    assert [titles[row].decode() for row in range(len(corpus.items))] == corpus.items.title
    assert builder.info.metadata['fingerprint'] == corpus.fingerprint()


def test_builders_say_what_they_are_and_what_to_cite(tmp_path):
    listed = [
        builder for builder in CorpusBuilder.__subclasses__() if builder.source and builder.BUILDER_CONFIGS
    ]
    assert len(listed) >= 8
    for builder in listed:
        info = builder(config=builder.BUILDER_CONFIGS[0], data_dir=tmp_path).info
        assert len(info.description) > 40
        if builder in (builders.SimulatedShopBuilder, builders.TablesBuilder):
            continue
        assert '@' in info.citation
        if builder is not builders.SequenceFilesBuilder:
            assert info.homepage.startswith('https://')
            assert 'tensorflow.org' not in info.homepage


def test_a_download_that_is_not_the_published_file_is_refused(tmp_path, monkeypatch):
    published = write_movielens(tmp_path / 'published', '1m', packed=True)
    urls = builders.MovieLensBuilder.url_infos
    assert urls['https://files.grouplens.org/datasets/movielens/ml-1m.zip'].size == 5_917_549
    content = (tmp_path / 'published' / 'ml-1m.zip').read_bytes()
    known = {'ml-1m.zip': KnownFile(len(content), hashlib.sha256(content).hexdigest())}
    with served(published) as url:
        source = MovieLens('1m', url_root=url)
        monkeypatch.setattr(MovieLens, 'known_files', lambda self: known)
        prepare(source, tmp_path / 'whole')
        known['ml-1m.zip'] = KnownFile(len(content), '0' * 64)
        with pytest.raises(tfds.download.download_manager.NonMatchingChecksumError):
            prepare(source, tmp_path / 'damaged')
    assert not list((tmp_path / 'damaged').glob('llmrec_*'))


def test_yelp_is_read_from_where_tfds_keeps_what_people_fetch(tmp_path):
    write_forms(tmp_path / 'manual', YELP)
    config, _ = table_configs([Yelp(MANUAL_DIR, k_core=1)])
    config.name = 'small-items'
    builder = builders.YelpBuilder(config=config, data_dir=tmp_path / 'data')
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(try_download_gcs=False, manual_dir=tmp_path / 'manual')
    )
    titles = {record['title'].decode() for record in tfds.as_numpy(builder.as_dataset(split='train'))}
    assert titles == {READ_HTML, 'The Café'}


@dataclasses.dataclass(frozen=True)
class Owned:
    """A shop of somebody's own."""

    name: str = 'owned/small'

    def build(self):
        return dataclasses.replace(SimulatedShop('tiny').build(), name=self.name)


class OwnedBuilder(CorpusBuilder):
    """Somebody's own builder, which no table of the library names."""

    name = 'owned_shop'
    source = Owned


def test_a_source_of_ones_own_brings_its_builder(tmp_path):
    prepared = prepare(Owned(), tmp_path)
    assert prepared.users_name.startswith('owned_shop/small-')
    assert load_corpus(prepared).name == 'owned/small'
    assert (
        tfds.builder(prepared.items_name, data_dir=tmp_path).info.description == "A shop of somebody's own."
    )


def test_a_listed_config_downloads_its_files(tmp_path):
    published = write_movielens(tmp_path / 'published', 'latest-small', packed=True)
    with served(published) as url:
        config, _ = table_configs([MovieLens(url_root=url)])
        config.name = 'served-items'
        builder = builders.MovieLensBuilder(config=config, data_dir=tmp_path / 'data')
        builder.download_and_prepare(download_config=OFFLINE)
    titles = {record['title'].decode() for record in tfds.as_numpy(builder.as_dataset(split='train'))}
    assert titles == {'Amélie (2001)', '11\'09"01, September (2001)'}
