"""The two tables in which TFDS keeps a corpus: `items`, and `users` with their events nested."""

import dataclasses
import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from jaxtyping import Int
from tensorflow_datasets.core.dataset_builder import FileReaderBuilder
from tensorflow_datasets.core.hashing import Hasher

from llmrec_jax.corpora.corpus import Corpus, Items
from llmrec_jax.corpora.records import item_records, user_records
from llmrec_jax.corpora.source import About
from llmrec_jax.corpora.splits import training_pairs
from llmrec_jax.corpora.tfds_configs import CorpusConfig, with_files, with_settings

# TFDS's own convention for data that is not split on disk: leave_last_out splits within each user.
SPLIT = 'train'
# SeqIO deals whole files out to hosts, so there must be at least as many as data-parallel hosts.
MAX_SHARDS = 16


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
    # TFDS tells these where there is no such folder.
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        'The published files may lie there under their published names; they are downloaded otherwise.'
    )
    VERSION = tfds.core.Version('1.1.0')
    RELEASE_NOTES: ClassVar[dict[str, str]] = {
        '1.0.0': 'Items; users with nested events.',
        '1.1.0': 'Users with the hash of their id; metadata of histories.',
    }

    def __init__(self, *, config: CorpusConfig | str | None = None, **kwargs: Any):
        if isinstance(config, CorpusConfig) and config.settings is not None:
            config = with_settings(config, self.source)
        super().__init__(config=config, **kwargs)

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
        if download_config.beam_options is None and download_config.beam_runner is None:
            self._write(_in_memory(self.builder_config.corpus(dl_manager)), download_config)
        else:
            self._write_by_beam(dl_manager, download_config)

    def _write_by_beam(
        self, dl_manager: tfds.download.DownloadManager, download_config: tfds.download.DownloadConfig
    ) -> None:
        # Beam is an extra.
        import apache_beam as beam

        from llmrec_jax.corpora.beam import pipelined, user_shards
        from llmrec_jax.corpora.beam.workspace import Workspace

        pipelines = functools.partial(
            beam.Pipeline, runner=download_config.beam_runner, options=download_config.beam_options
        )
        source = with_files(self.builder_config.source, dl_manager)
        space = Workspace(os.path.join(self.data_dir, 'pipeline'))
        made = pipelined.pipelined_corpus(source, space, pipelines)
        self._write(
            _Made(
                made.name,
                made.items,
                made.lengths,
                made.fingerprint,
                made.provenance,
                functools.partial(user_shards.write_shards, pipelines, space),
            ),
            download_config,
        )
        tf.io.gfile.rmtree(space.folder)

    def _write(self, made: '_Made', download_config: tfds.download.DownloadConfig) -> None:
        config = self.builder_config
        self.info.metadata.update(
            corpus=made.name,
            table=config.table,
            fingerprint=made.fingerprint,
            identity=config.identity,
            provenance=dict(made.provenance),
            longest_history=int(made.lengths.max()),
            training_pairs=training_pairs(made.lengths),
        )
        rows = len(made.items if config.table == 'items' else made.lengths)
        order = _record_order(rows)[: download_config.max_examples_per_split]
        n_shards = download_config.num_shards or min(MAX_SHARDS, len(order))
        # The bounds that TFDS sets.
        shards = np.split(order, [round(len(order) * shard / n_shards) for shard in range(1, n_shards)])
        template = self._get_filename_template(split_name=SPLIT)
        paths = [
            template.sharded_filepath(shard_index=index, num_shards=len(shards))
            for index in range(len(shards))
        ]
        write = made.write_users
        if config.table == 'items':
            write = functools.partial(_write_shards, functools.partial(item_records, made.items))
        size = write(shards, paths, self.info.file_format)
        split = tfds.core.SplitInfo(
            name=SPLIT,
            shard_lengths=[len(shard) for shard in shards],
            num_bytes=size,
            filename_template=template,
        )
        self.info.set_splits(tfds.core.SplitDict([split]))


@dataclasses.dataclass(frozen=True)
class _Made:
    """A corpus, in memory or not.

    Attributes:
      name: as `Corpus.name`.
      items: the catalogue.
      lengths: how many events each user has.
      fingerprint: as `Corpus.fingerprint`.
      provenance: as `Corpus.provenance`.
      write_users: writes shards of users' records, given the rows, paths and form of the files; tells
        the bytes of all records.
    """

    name: str
    items: Items
    lengths: Int[np.ndarray, 'users']
    fingerprint: str
    provenance: Mapping[str, Any]
    write_users: Callable[[Sequence[np.ndarray], Sequence[os.PathLike], tfds.core.FileFormat], int]


def _in_memory(corpus: Corpus) -> _Made:
    return _Made(
        corpus.name,
        corpus.items,
        np.diff(corpus.user_offsets),
        corpus.fingerprint(),
        corpus.provenance,
        functools.partial(_write_shards, functools.partial(user_records, corpus)),
    )


def _write_shards(
    records: Callable[[np.ndarray], Iterator[bytes]],
    shards: Sequence[np.ndarray],
    paths: Sequence[os.PathLike],
    file_format: tfds.core.FileFormat,
) -> int:
    """Writes the records of the rows of each shard, and tells how many bytes they have."""
    size = 0

    def counted(shard: np.ndarray) -> Iterator[tuple[int, bytes]]:
        nonlocal size
        for row, record in zip(shard.tolist(), records(shard)):
            size += len(record)
            yield row, record

    for shard, path in zip(shards, paths):
        tfds.core.ExampleWriter(file_format).write(path, counted(shard))
    return size


def _record_order(rows: int) -> Int[np.ndarray, 'rows']:
    """The order in which TFDS lays down records that have these numbers for keys."""
    hasher = Hasher(SPLIT)
    hashed = [hasher.hash_key(row) for row in range(rows)]
    return np.asarray(sorted(range(rows), key=hashed.__getitem__), np.int64)
