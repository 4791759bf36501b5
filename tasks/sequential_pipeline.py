"""The SeqIO side of the task of sequential recommenders; importing it imports TensorFlow."""

import functools
from collections.abc import Mapping
from typing import Any

import seqio
import tensorflow as tf
import tensorflow_datasets as tfds

from llmrec_jax.corpora import prepare
from llmrec_jax.models.ranked_catalogue import SEEN
from llmrec_jax.models.sequential import ITEMS
from tasks import ranking_metrics
from tasks.leave_last_out import pad_seen
from tasks.registration import add_task
from tasks.sequential import SequentialTask
from tasks.split_source import history_source, split_in_names, split_suffix
from tasks.task_names import digest


def to_tokens(dataset: tf.data.Dataset, *, max_items: int) -> tf.data.Dataset:
    """Turns what a split may see of each user into one example.

    Before: `user`, `user_id`, `items` (rows of the catalogue, oldest first) and `first_target`. After:
    `items`, the newest `max_items + 1` of them as tokens (row + 1; 0 is padding), of which the last is the
    split's target; beside them `user`, `user_id` and `target_item`, by which results are joined, and `seen`
    where there was one. Users with one item, who predict nothing, are left out.
    """

    def convert(user):
        items = user['items']
        return {
            ITEMS: items[-(max_items + 1) :] + 1,
            'user': user['user'],
            'user_id': user['user_id'],
            'target_item': items[-1],
            **({SEEN: user[SEEN]} if SEEN in user else {}),
        }

    predicting = dataset.filter(lambda user: tf.size(user['items']) > 1)
    return predicting.map(convert, num_parallel_calls=tf.data.AUTOTUNE)


def target_item(
    decoded: Any, *, example: Mapping[str, Any], is_target: bool = False, **_: Any
) -> int | list[int]:
    """SeqIO's postprocessor: the target is the row of an item, a prediction the tokens as they came."""
    return int(example['target_item']) if is_target else list(decoded)


def register(task: SequentialTask) -> str:
    """Adds `task` to SeqIO's registry and returns its name.

    Raises:
      ValueError: when another task bears the name.
    """
    prepared = prepare.prepare(task.corpus, task.data_dir)
    items = tfds.builder(prepared.items_name, data_dir=prepared.data_dir).info.splits['train'].num_examples
    vocabulary = seqio.PassThroughVocabulary(size=items + 1)
    feature = seqio.Feature(vocabulary=vocabulary, add_eos=False, dtype=tf.int32)
    source = history_source(prepared, task.split)
    decisive = (prepared.content, task.max_items, *split_in_names(task.split))
    name = f'{task.stem}_{digest(*decisive)}'
    add_task(
        name,
        identity=(*decisive, task.ks),
        source=source,
        preprocessors=[
            functools.partial(to_tokens, max_items=task.max_items),
            seqio.CacheDatasetPlaceholder(),
            functools.partial(pad_seen, width=source.longest_history),
        ],
        output_features={ITEMS: feature},
        postprocess_fn=target_item,
        metric_fns=[ranking_metrics.recall_and_ndcg_of_items(task.ks, split_suffix(task.split))],
    )
    return name
