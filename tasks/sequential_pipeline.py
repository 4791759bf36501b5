"""The SeqIO side of the task of sequential recommenders; importing it imports TensorFlow."""

import functools

import seqio
import tensorflow as tf
import tensorflow_datasets as tfds

from llmrec_jax.corpora import prepare
from llmrec_jax.models.sequential import ITEMS
from tasks.leave_last_out import LeaveLastOutSource
from tasks.sequential import SequentialTask


def to_tokens(dataset: tf.data.Dataset, *, max_items: int) -> tf.data.Dataset:
    """Turns what a split may see of each user into one example.

    Before: `user`, `user_id`, `items` (rows of the catalogue, oldest first) and `first_target`. After:
    `items`, the newest `max_items + 1` of them as tokens (row + 1; 0 is padding), of which the last is the
    split's target; beside them `user`, `user_id` and `target_item`, by which results are joined. Users with
    one item, who predict nothing, are left out.
    """

    def convert(user):
        items = user['items']
        return {
            ITEMS: items[-(max_items + 1) :] + 1,
            'user': user['user'],
            'user_id': user['user_id'],
            'target_item': items[-1],
        }

    predicting = dataset.filter(lambda user: tf.size(user['items']) > 1)
    return predicting.map(convert, num_parallel_calls=tf.data.AUTOTUNE)


def register(task: SequentialTask) -> str:
    """Adds `task` to SeqIO's registry, in place of an older one of its name."""
    prepared = prepare.prepare(task.corpus, task.data_dir)
    items = tfds.builder(prepared.items_name, data_dir=prepared.data_dir).info.splits['train'].num_examples
    vocabulary = seqio.PassThroughVocabulary(size=items + 1)
    feature = seqio.Feature(vocabulary=vocabulary, add_eos=False, dtype=tf.int32)
    if task.name in seqio.TaskRegistry.names():
        seqio.TaskRegistry.remove(task.name)
    seqio.TaskRegistry.add(
        task.name,
        source=LeaveLastOutSource(prepared.users_name, str(prepared.data_dir)),
        preprocessors=[functools.partial(to_tokens, max_items=task.max_items)],
        output_features={ITEMS: feature},
    )
    return task.name
