"""Caches a task as `seqio_cache_tasks` does, without Apache Beam: SeqIO's own files, helper by helper."""

import json
import pathlib

import seqio
import tensorflow as tf
from seqio import utils

SHARDS = 2


def cache_split(task: seqio.Task, split: str, directory: pathlib.Path) -> int:
    """Writes a split as `seqio.beam_utils` would, and returns the number of examples."""
    folder = str(directory / utils.get_task_dir_from_name(task.name))
    tf.io.gfile.makedirs(folder)
    dataset = task.preprocess_precache(task.source.get_dataset(split, shuffle=False, seed=0), seed=0)
    prefix = utils.get_cached_tfrecord_prefix(folder, split)
    paths = [f'{prefix}-{shard:05d}-of-{SHARDS:05d}' for shard in range(SHARDS)]
    writers = [tf.io.TFRecordWriter(path) for path in paths]
    examples = 0
    for example in dataset.as_numpy_iterator():
        writers[examples % SHARDS].write(seqio.dict_to_tfexample(example).SerializeToString())
        examples += 1
    for writer in writers:
        writer.close()
    # As `GetInfo`: the first axis of what is no scalar is open, whatever the dataset knows of it.
    features = {
        name: {'shape': [None, *spec.shape[1:]] if spec.shape.rank else [], 'dtype': spec.dtype.name}
        for name, spec in dataset.element_spec.items()
    }
    info = {'num_shards': SHARDS, 'features': features, 'seqio_version': seqio.__version__}
    pathlib.Path(utils.get_cached_info_path(folder, split)).write_text(json.dumps(info))
    pathlib.Path(utils.get_cached_stats_path(folder, split)).write_text(json.dumps({'examples': examples}))
    pathlib.Path(folder, 'COMPLETED').touch()
    return examples
