"""The two tables in which TFDS keeps a corpus: `items`, and `users` with their events nested."""

import dataclasses
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Int
from tensorflow_datasets.core.dataset_builder import FileReaderBuilder
from tensorflow_datasets.core.download.checksums import UrlInfo
from tensorflow_datasets.core.hashing import Hasher

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.records import item_records, user_records
from llmrec_jax.corpora.source import (
    About,
    CorpusSource,
    DownloadableSource,
    FileSource,
    about,
    known_files,
)
from llmrec_jax.corpora.splits import training_pairs

TABLES = ('items', 'users')
# The `manual_dir` of a source whose files lie where TFDS looks for what people fetch by hand.
MANUAL_DIR = '<manual_dir>'
# TFDS's own convention for data that is not split on disk: leave_last_out splits within each user.
SPLIT = 'train'
# SeqIO deals whole files out to hosts, so there must be at least as many as data-parallel hosts.
MAX_SHARDS = 16


@dataclasses.dataclass(eq=False)
class CorpusConfig(tfds.core.BuilderConfig):
    """One table of one corpus.

    Attributes:
      table: 'items' or 'users'.
      corpus: gives the corpus, once the download manager is at hand.
      about: what the kind of corpora is.
      identity: what the corpus was made from, kept with the data.
    """

    table: str = 'users'
    corpus: Callable[[tfds.download.DownloadManager], Corpus] | None = dataclasses.field(
        default=None, repr=False
    )
    about: About | None = dataclasses.field(default=None, repr=False)
    identity: dict[str, Any] = dataclasses.field(default_factory=dict, repr=False)


def table_configs(sources: Sequence[CorpusSource]) -> list[CorpusConfig]:
    """The configs `<variant>-items` and `<variant>-users` of every source, which TFDS users find by name.

    A source whose files cannot be downloaded finds them in TFDS's `manual_dir`.
    """
    return [
        CorpusConfig(
            name=f'{variant(source)}-{table}',
            description=f'{source.name}: the {table}',
            table=table,
            corpus=lambda manager, source=source: with_files(source, manager).build(),
            about=about(source),
        )
        for source in sources
        for table in TABLES
    ]


def variant(source: CorpusSource) -> str:
    """What follows the slash in the source's name, in letters that a TFDS config may have."""
    return re.sub(r'[^A-Za-z0-9_.-]', '_', source.name.partition('/')[2] or source.name)


class CorpusBuilder(FileReaderBuilder, skip_registration=True):
    """Writes one table of a corpus; subclasses name the kind of source by `source`, wherever they stand.

    A record of `items` is one item: `item` (its row) and the columns of `Items`. A record of `users` is one
    user: `user` (the row), the columns of `Users`, and `events`, a sequence of the columns of `Events` in
    time order. Records lie in the order of TFDS's hash of their rows. Provenance, the corpus's fingerprint,
    what it was made from, the longest history and the number of training pairs (`splits.training_pairs`) are
    the TFDS metadata (`metadata.json`), which comes into being together with the data.
    """

    # The class of the sources that the builder is of; None for whatever has no builder of its own.
    source: ClassVar[type | None] = None
    VERSION = tfds.core.Version('1.1.0')
    RELEASE_NOTES: ClassVar[dict[str, str]] = {
        '1.0.0': 'Items; users with nested events.',
        '1.1.0': 'Users with the hash of their id; metadata of histories.',
    }

    def _info(self) -> tfds.core.DatasetInfo:
        if self.builder_config.table == 'items':
            features = {
                'item': np.int64,
                'item_id': tfds.features.Text(),
                'title': tfds.features.Text(),
                'brand': tfds.features.Text(),
                'categories': tfds.features.Sequence(tfds.features.Text()),
                'description': tfds.features.Text(),
                'price': np.float32,
            }
        else:
            events = {
                'item': np.int64,
                'timestamp': np.int64,
                'rating': np.float32,
                'summary': tfds.features.Text(),
                'review': tfds.features.Text(),
            }
            features = {
                'user': np.int64,
                'user_id': tfds.features.Text(),
                'user_hash': np.int64,
                'profile': tfds.features.Text(),
                'events': tfds.features.Sequence(events),
            }
        told = self.builder_config.about or About(type(self).__doc__.partition('\n')[0])
        return self.dataset_info_from_configs(
            description=told.description,
            homepage=told.homepage or None,
            citation=told.citation or None,
            features=tfds.features.FeaturesDict(features),
            metadata=tfds.core.MetadataDict(),
        )

    def _download_and_prepare(
        self, dl_manager: tfds.download.DownloadManager, download_config: tfds.download.DownloadConfig
    ) -> None:
        config = self.builder_config
        corpus = config.corpus(dl_manager)
        lengths = np.diff(corpus.user_offsets)
        self.info.metadata.update(
            corpus=corpus.name,
            table=config.table,
            fingerprint=corpus.fingerprint(),
            identity=config.identity,
            provenance=dict(corpus.provenance),
            longest_history=int(lengths.max()),
            training_pairs=training_pairs(lengths),
        )
        records, rows = {'items': (item_records, corpus.items), 'users': (user_records, corpus.users)}[
            config.table
        ]
        order = _record_order(len(rows))[: download_config.max_examples_per_split]
        n_shards = download_config.num_shards or min(MAX_SHARDS, len(order))
        # The bounds that TFDS sets.
        shards = np.split(order, [round(len(order) * shard / n_shards) for shard in range(1, n_shards)])
        template = self._get_filename_template(split_name=SPLIT)
        size = 0

        def counted(shard: np.ndarray) -> Iterator[tuple[int, bytes]]:
            nonlocal size
            for row, record in zip(shard.tolist(), records(corpus, shard)):
                size += len(record)
                yield row, record

        for index, shard in enumerate(shards):
            path = template.sharded_filepath(shard_index=index, num_shards=len(shards))
            tfds.core.ExampleWriter(self.info.file_format).write(path, counted(shard))
        split = tfds.core.SplitInfo(
            name=SPLIT,
            shard_lengths=[len(shard) for shard in shards],
            num_bytes=size,
            filename_template=template,
        )
        self.info.set_splits(tfds.core.SplitDict([split]))


def _record_order(rows: int) -> Int[np.ndarray, 'rows']:
    """The order in which TFDS lays down records that have these numbers for keys."""
    hasher = Hasher(SPLIT)
    hashed = [hasher.hash_key(row) for row in range(rows)]
    return np.asarray(sorted(range(rows), key=hashed.__getitem__), np.int64)


def url_infos(sources: Sequence[CorpusSource]) -> dict[str, UrlInfo]:
    """The sizes and checksums by which TFDS tells a damaged download, of the files that are known."""
    found = {}
    for source in sources:
        urls = source.urls() if isinstance(source, DownloadableSource) else {}
        for name, known in known_files(source).items():
            found[urls[name]] = UrlInfo(size=known.size, checksum=known.sha256, filename=name)
    return found


def needs_download(source: CorpusSource) -> bool:
    """Whether the source reads published files and names no directory that holds them."""
    return isinstance(source, DownloadableSource) and source.manual_dir is None


def with_files(source: CorpusSource, manager: tfds.download.DownloadManager) -> CorpusSource:
    """`source` with its files at hand: itself, unless it needs a download or TFDS's `manual_dir`.

    Downloads are kept under their published names in `<download_dir>/<kind of source>/`, where the next call
    finds them; a download that breaks off leaves nothing there.
    """
    if isinstance(source, FileSource) and getattr(source, 'manual_dir', '') == MANUAL_DIR:
        return dataclasses.replace(source, manual_dir=str(manager.manual_dir))
    if not needs_download(source):
        return source
    directory = Path(manager.download_dir) / source.name.split('/')[0]
    directory.mkdir(parents=True, exist_ok=True)
    missing = {name: url for name, url in source.urls().items() if not (directory / name).is_file()}
    for name, path in manager.download(missing).items():
        beside = directory / f'{name}.{os.getpid()}.part'
        shutil.copyfile(path, beside)
        os.replace(beside, directory / name)
    return dataclasses.replace(source, manual_dir=str(directory))
