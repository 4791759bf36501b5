"""The two tables in which TFDS keeps a corpus: `items`, and `users` with their events nested."""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from jaxtyping import Int
from tensorflow_datasets.core.dataset_builder import FileReaderBuilder
from tensorflow_datasets.core.hashing import Hasher

from llmrec_jax.corpora.records import item_records, user_records
from llmrec_jax.corpora.source import About
from llmrec_jax.corpora.splits import training_pairs
from llmrec_jax.corpora.tfds_configs import CorpusConfig, with_settings

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
