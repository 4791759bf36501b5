"""The SeqIO side of TIGER's tasks; importing it imports TensorFlow."""

import dataclasses
import functools

import numpy as np
import seqio
import tensorflow as tf
from jaxtyping import Int

from llmrec_jax.corpora import prepare
from llmrec_jax.models.ranked_catalogue import SEEN
from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.semantic_ids.token_layout import EncodingOps, HistoryEncoding
from llmrec_jax.semantic_ids.vocabulary import SemanticIdVocabulary
from tasks import ranking_metrics
from tasks.leave_last_out import next_item_examples, pad_seen
from tasks.registration import add_mixture, add_task
from tasks.split_source import history_source, split_in_names, split_suffix
from tasks.task_names import digest
from tasks.tiger import TigerMixture, TigerTask

TENSORFLOW = EncodingOps(tf.gather, tf.reshape, tf.concat, lambda number: tf.cast(number, tf.int32))


def to_semantic_ids(
    dataset: tf.data.Dataset, *, encoding: HistoryEncoding, item_tokens: Int[np.ndarray, 'items levels']
) -> tf.data.Dataset:
    """Turns items into tokens.

    Before: `user`, `user_id`, `user_hash`, `history` (items), `target` (item). After: `inputs`, see
    `HistoryEncoding`; `targets`, the codes of the target; beside them `user`, `user_id` and `target_item`, by
    which results are joined, and `seen` where there was one.
    """
    tokens = tf.constant(item_tokens, tf.int32)

    def convert(example):
        return {
            'inputs': encoding.inputs(TENSORFLOW, tokens, example['user_hash'], example['history']),
            'targets': tf.gather(tokens, example['target']),
            'user': example['user'],
            'user_id': example['user_id'],
            'target_item': example['target'],
            **({SEEN: example[SEEN]} if SEEN in example else {}),
        }

    return dataset.map(convert, num_parallel_calls=tf.data.AUTOTUNE)


def register(task: TigerTask) -> str:
    """Adds `task` to SeqIO's registry and returns its name.

    Raises:
      FileNotFoundError: when there is no code table.
      ValueError: when the table's codebooks are not the layout's, or another task bears the name.
    """
    table = CodeTable.load(task.code_table)
    if table.codebook_sizes != task.layout.codebook_sizes:
        raise ValueError(
            f'{task.code_table} has codebooks of {table.codebook_sizes}, the layout of '
            f'{task.layout.codebook_sizes}: make the table anew, or give TokenLayout.codebook_sizes its sizes'
        )
    prepared = prepare.prepare(task.corpus, task.data_dir)
    source = history_source(prepared, task.split)
    # Both sides have a fixed number of tokens an item, so nothing needs an end-of-sequence token.
    feature = seqio.Feature(vocabulary=SemanticIdVocabulary(task.layout), add_eos=False, dtype=tf.int32)
    decisive = (
        prepared.content,
        table.fingerprint,
        dataclasses.asdict(task.layout),
        task.max_items,
        *split_in_names(task.split),
    )
    name = f'{task.stem}_{digest(*decisive)}'
    add_task(
        name,
        identity=(*decisive, task.ks),
        source=source,
        preprocessors=[
            next_item_examples,
            functools.partial(
                to_semantic_ids,
                encoding=task.encoding,
                item_tokens=task.layout.item_tokens(table.codes),
            ),
            seqio.CacheDatasetPlaceholder(),
            functools.partial(pad_seen, width=source.longest_history),
        ],
        output_features={'inputs': feature, 'targets': feature},
        metric_fns=[ranking_metrics.recall_and_ndcg(task.ks, split_suffix(task.split))],
    )
    return name


def register_mixture(mixture: TigerMixture) -> str:
    """Adds the mixture and its tasks to SeqIO's registries, each at the rate of its training examples.

    Raises:
      ValueError: when the tasks' layouts differ, two of them are the same task, or another mixture or task
        bears a name.
    """
    if len({task.layout for task in mixture.tasks}) != 1:
        raise ValueError(f'mixture {mixture.name!r}: its tasks must share one token layout')
    rates = {}
    for task in mixture.tasks:
        name = register(task)
        if name in rates:
            raise ValueError(f'mixture {mixture.name!r} has the task {name!r} twice: name each once')
        # A user is an example for every item but the first, so that users are no measure of examples.
        rates[name] = seqio.TaskRegistry.get(name).source.training_pairs
    add_mixture(mixture.name, rates)
    return mixture.name
