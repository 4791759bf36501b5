"""Writes a corpus through TFDS once, and reads it back."""

import contextlib
import dataclasses
import functools
import io
import json
import logging
import os
import weakref
from collections.abc import Iterator

import pyarrow as pa
import tensorflow as tf
import tensorflow_datasets as tfds

from llmrec_jax.corpora.builders import builder_class
from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.records import read_items, read_users
from llmrec_jax.corpora.source import CorpusSource
from llmrec_jax.corpora.tfds_builder import SPLIT
from llmrec_jax.corpora.tfds_configs import (
    TABLES,
    identified_config,
    needs_download,
    url_infos,
    with_files,
)

LOG = logging.getLogger(__name__)
# What is in use in this process; a corpus never changes, and one that nobody uses any more is gone from here.
_HELD: 'weakref.WeakValueDictionary[PreparedCorpus, Corpus]' = weakref.WeakValueDictionary()


@dataclasses.dataclass(frozen=True)
class PreparedCorpus:
    """Where TFDS finds the two tables, in this process or another.

    `seqio.TfdsDataSource(tfds_name=prepared.users_name, tfds_data_dir=prepared.data_dir, splits={...:
    'train'})` reads one without the source; the one split on disk is 'train' and holds every record.

    Attributes:
      data_dir: TFDS's data directory.
      items_name: name of the table of items, 'dataset/config:version'.
      users_name: name of the table of users, 'dataset/config:version'.
    """

    data_dir: str
    items_name: str
    users_name: str

    @property
    def content(self) -> str:
        """What names the corpus wherever it lies: the source, and the hash of its settings and files."""
        return self.users_name.partition(':')[0]


def prepare(source: CorpusSource, data_dir: str | os.PathLike) -> PreparedCorpus:
    """Writes both tables of the corpus of `source` below `data_dir`, unless they are there.

    The names carry a hash of the source's settings and files (see `source.identity`), so data of another
    source are never taken for this one's. A table comes into being whole, by a rename: what a killed run left
    is not read. The corpus is built at most once, and files are downloaded first where the source names no
    `manual_dir`.

    Raises:
      FileNotFoundError, ValueError: as the source does, before anything is written.
      OSError: when writing fails, as on a full disk; tables that were there stay as they are.
    """
    return _prepare(source, data_dir)[0]


def prepared_corpus(source: CorpusSource, data_dir: str | os.PathLike) -> Corpus:
    """The corpus of `source` in memory, prepared below `data_dir` if it is not; raises as `prepare`.

    What was built for it is given as it is, and so is what this process holds of it already.
    """
    prepared, built = _prepare(source, data_dir)
    corpus = built or _HELD.get(prepared) or load_corpus(prepared)
    _HELD[prepared] = corpus
    return corpus


def _prepare(source: CorpusSource, data_dir: str | os.PathLike) -> tuple[PreparedCorpus, Corpus | None]:
    data_dir = os.path.expanduser(os.fspath(data_dir))
    if needs_download(source):
        downloads = tfds.download.DownloadManager(
            download_dir=os.path.join(data_dir, 'downloads'), url_infos=url_infos([source])
        )
        source = with_files(source, downloads)
    build = functools.cache(source.build)
    names = {}
    for table in TABLES:
        config = identified_config(source, table, lambda _: build())
        builder = builder_class(source)(data_dir=data_dir, config=config)
        if not builder.is_prepared():
            _write(builder, build())
        names[table] = f'{builder.name}/{config.name}:{builder.version}'
    built = build() if build.cache_info().currsize else None
    # The configs of the builders live on in TFDS and in logs, and would keep the corpus in memory.
    build.cache_clear()
    return PreparedCorpus(data_dir, items_name=names['items'], users_name=names['users']), built


def _write(builder: tfds.core.DatasetBuilder, corpus: Corpus) -> None:
    table = builder.builder_config.table
    rows = len(corpus.items) if table == 'items' else len(corpus.users)
    if rows == 0:
        raise ValueError(f'corpus {corpus.name!r} has no {table}; there is nothing to prepare')
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    try:
        # TFDS prints that it downloads something of unknown size, where nothing is downloaded.
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare(download_config=config)
        LOG.info('corpus %s: %d %s in %s', corpus.name, rows, table, builder.data_dir)
    except (OSError, RuntimeError, tf.errors.OpError) as error:
        # The last step is a rename onto a directory that must not exist: another process may have been first.
        if not os.path.exists(os.path.join(builder.data_dir, 'dataset_info.json')):
            raise OSError(
                f'corpus {corpus.name!r}: writing the {table} to {builder.data_dir} failed, '
                f'and nothing of them was kept: {error}'
            ) from error


def load_corpus(prepared: PreparedCorpus) -> Corpus:
    """Reads a prepared corpus into memory: equal to what the source built, to the last bit.

    Raises:
      FileNotFoundError: when a table is not there.
      ValueError: when the data on disk are damaged.
    """
    with _damage_named(prepared):
        items_info = _table(prepared.items_name, prepared.data_dir)
        info = _table(prepared.users_name, prepared.data_dir)
        users, events = read_users(_files(info))
        corpus = Corpus(
            name=info.metadata['corpus'],
            items=read_items(_files(items_info)),
            users=users,
            events=events,
            provenance=info.metadata['provenance'],
        )
    fingerprints = {info.metadata['fingerprint'], items_info.metadata['fingerprint'], corpus.fingerprint()}
    if len(fingerprints) > 1:
        raise ValueError(f'{_damaged(prepared)}: the fingerprint is not the one that was written')
    return corpus


def _damaged(prepared: PreparedCorpus) -> str:
    return (
        f'the prepared corpus {prepared.users_name} in {prepared.data_dir} is damaged; '
        'delete its directories and prepare it again'
    )


@contextlib.contextmanager
def _damage_named(prepared: PreparedCorpus) -> Iterator[None]:
    try:
        yield
    except (tf.errors.OpError, json.JSONDecodeError, pa.ArrowInvalid, KeyError) as error:
        raise ValueError(f'{_damaged(prepared)}: {error}') from error


def _table(name: str, data_dir: str) -> tfds.core.DatasetInfo:
    try:
        return tfds.builder(name, data_dir=data_dir).info
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        raise FileNotFoundError(f'{data_dir} has no table {name}; prepare the corpus first') from error


def _files(table: tfds.core.DatasetInfo) -> list[str]:
    return [os.fspath(path) for path in table.splits[SPLIT].filepaths]
