"""The SeqIO side of TIGER's tasks; importing it imports TensorFlow."""

import functools

import seqio
import tensorflow as tf

from llmrec_jax.corpora import prepare
from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.semantic_ids.vocabulary import SemanticIdVocabulary
from tasks import ranking_metrics
from tasks.crc32 import crc32
from tasks.leave_last_out import LeaveLastOutSource, next_item_examples
from tasks.tiger import TigerMixture, TigerTask


def to_semantic_ids(dataset: tf.data.Dataset, *, task: TigerTask) -> tf.data.Dataset:
    """Turns items into tokens.

    Before: `user`, `user_id`, `history` (items), `target` (item). After: `inputs`, the user's token and then
    the codes of the newest `max_items` items, oldest first; `targets`, the codes of the target; beside them
    `user`, `user_id` and `target_item`, by which results are joined.

    Raises:
      ValueError: when the table's codebooks are not the layout's.
    """
    table = CodeTable.load(task.code_table)
    if table.codebook_sizes != task.layout.codebook_sizes:
        raise ValueError(
            f'{task.code_table} has codebooks of {table.codebook_sizes}, the layout of '
            f'{task.layout.codebook_sizes}: make the table anew, or give TokenLayout.codebook_sizes its sizes'
        )
    tokens = tf.constant(task.layout.item_tokens(table.codes), tf.int32)

    def convert(example):
        user_token = task.layout.user_offset + tf.cast(
            crc32(example['user_id']) % task.layout.user_tokens, tf.int32
        )
        history = tf.gather(tokens, example['history'][-task.max_items :])
        return {
            'inputs': tf.concat([[user_token], tf.reshape(history, [-1])], axis=0),
            'targets': tf.gather(tokens, example['target']),
            'user': example['user'],
            'user_id': example['user_id'],
            'target_item': example['target'],
        }

    return dataset.map(convert, num_parallel_calls=tf.data.AUTOTUNE)


def register(task: TigerTask) -> str:
    """Adds `task` to SeqIO's registry, in place of an older one of its name."""
    vocabulary = SemanticIdVocabulary(task.layout)
    # Both sides have a fixed number of tokens an item, so nothing needs an end-of-sequence token.
    feature = seqio.Feature(vocabulary=vocabulary, add_eos=False, dtype=tf.int32)
    prepared = prepare.prepare(task.corpus, task.data_dir)
    if task.name in seqio.TaskRegistry.names():
        seqio.TaskRegistry.remove(task.name)
    seqio.TaskRegistry.add(
        task.name,
        source=LeaveLastOutSource(prepared.users_name, str(prepared.data_dir)),
        preprocessors=[next_item_examples, functools.partial(to_semantic_ids, task=task)],
        output_features={'inputs': feature, 'targets': feature},
        metric_fns=[ranking_metrics.recall_and_ndcg(task.ks)],
    )
    return task.name


def register_mixture(mixture: TigerMixture) -> str:
    """Adds the mixture and its tasks to SeqIO's registries.

    Raises:
      ValueError: when the tasks' layouts differ.
    """
    if len({task.layout for task in mixture.tasks}) != 1:
        raise ValueError(f'mixture {mixture.name!r}: its tasks must share one token layout')
    names = [register(task) for task in mixture.tasks]
    if mixture.name in seqio.MixtureRegistry.names():
        seqio.MixtureRegistry.remove(mixture.name)
    seqio.MixtureRegistry.add(mixture.name, names, default_rate=seqio.mixing_rate_num_examples)
    return mixture.name
