"""The files of TFDS's table of users, from the users' blocks."""

import functools
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from jaxtyping import Int

from llmrec_jax.corpora.beam import user_blocks
from llmrec_jax.corpora.beam.jobs import Pipelines
from llmrec_jax.corpora.beam.workspace import Workspace
from llmrec_jax.corpora.records import user_record

_PLACES = 'places.npy'


def write_shards(
    pipelines: Pipelines,
    space: Workspace,
    shards: Sequence[Int[np.ndarray, '_']],
    paths: Sequence[os.PathLike],
    file_format: tfds.core.FileFormat,
) -> int:
    """Writes users' records, and tells how many bytes they have.

    Args:
      pipelines: makes a pipeline.
      space: of the blocks.
      shards: the users' rows in the order of each shard.
      paths: of the shards.
      file_format: of the files.
    """
    order = np.concatenate(shards)
    places = np.full(int(order.max()) + 1, -1)
    places[order] = np.arange(len(order))
    space.save_array(_PLACES, places)
    ends = np.cumsum([len(shard) for shard in shards])
    with pipelines() as pipeline:
        sizes = (
            pipeline
            | beam.Create(space.paths('block'))
            | beam.Reshuffle()
            | 'Records' >> beam.ParDo(_Records(space, ends))
            | 'Shards' >> beam.GroupByKey()
            | 'Write' >> beam.MapTuple(functools.partial(_write, list(map(os.fspath, paths)), file_format))
            | 'Size' >> beam.CombineGlobally(sum)
        )
        sizes | 'WriteSize' >> beam.io.WriteToText(space.lines_path('size'))
    (size,) = space.lines('size')
    return size


class _Records(beam.DoFn):
    """Gives of each user the shard, the place among all records, the row and the record."""

    def __init__(self, space: Workspace, ends: Int[np.ndarray, 'shards']):
        self._space, self._ends = space, ends

    def setup(self) -> None:
        """Reads the places."""
        self._places = self._space.array(_PLACES)

    def process(self, block: str) -> Iterator[tuple[int, tuple[int, int, bytes]]]:
        """Reads one block."""
        for user in user_blocks.users_of(block):
            place = int(self._places[user.row]) if user.row < len(self._places) else -1
            if place >= 0:
                shard = int(np.searchsorted(self._ends, place, side='right'))
                yield shard, (place, user.row, user_record(*user))


def _write(
    paths: Sequence[str],
    file_format: tfds.core.FileFormat,
    shard: int,
    records: Iterable[tuple[int, int, bytes]],
) -> int:
    ordered = [(row, record) for _, row, record in sorted(records)]
    # Two workers may be at it where one was thought dead.
    beside = f'{paths[shard]}.{uuid.uuid4().hex}.part'
    tfds.core.ExampleWriter(file_format).write(beside, ordered)
    tf.io.gfile.rename(beside, paths[shard], overwrite=True)
    return sum(len(record) for _, record in ordered)
