"""A SeqIO source of user histories, cut by leave-last-out: train, validation and test never mix."""

import seqio
import tensorflow as tf
import tensorflow_datasets as tfds

from llmrec_jax.corpora.splits import MIN_EVENTS
from llmrec_jax.models.ranked_catalogue import SEEN

TFDS_SPLIT = 'train'
SPLITS = ('train', 'validation', 'test')
# Of a user's record; the rest, such as the texts of reviews, is not decoded.
_READ = {'user': True, 'user_id': True, 'user_hash': True, 'events': {'item'}}


class LeaveLastOutSource(seqio.TfdsDataSource):
    """Reads a corpus's `users` table and gives each split what it may see of a user.

    An example is `user` (row), `user_id` (bytes), `user_hash` (of the id), `items` (int32 [events], oldest
    first) and `first_target`: items from that position on are to be predicted, each from those before it.
    Validation and test also have `seen`, the items before the target as tokens (row + 1).

    | split | items | first_target |
    |---|---|---|
    | train | all but the last two | 1 |
    | validation | all but the last | the last of them |
    | test | all | the last of them |

    Users with fewer than three events are in train alone, whole, as in `corpora.splits.leave_last_out`.
    """

    def __init__(self, tfds_name: str, tfds_data_dir: str):
        """Names the prepared table; nothing is read until a dataset is asked for."""
        super().__init__(
            tfds_name=tfds_name,
            tfds_data_dir=tfds_data_dir,
            splits={split: TFDS_SPLIT for split in SPLITS},
            read_only=True,
            decoders=tfds.decode.PartialDecoding(_READ),
        )

    @property
    def longest_history(self) -> int:
        """Events of the user who has the most."""
        return self.tfds_dataset.info.metadata['longest_history']

    @property
    def training_pairs(self) -> int:
        """Examples that `next_item_examples` makes of 'train'."""
        return self.tfds_dataset.info.metadata['training_pairs']

    def get_dataset(self, split: str | None = None, **kwargs) -> tf.data.Dataset:
        """Users of `split`, in the table's order unless shuffled."""
        if split not in SPLITS:
            raise ValueError(f'no split {split!r} in a leave-last-out source; there are {", ".join(SPLITS)}')
        users = super().get_dataset(split, **kwargs)
        if split != 'train':
            users = users.filter(lambda user: tf.size(user['events']['item']) >= MIN_EVENTS)
        return users.map(lambda user: _cut(user, split), num_parallel_calls=tf.data.AUTOTUNE)


def _cut(user, split: str):
    items = tf.cast(user['events']['item'], tf.int32)
    events = tf.size(items)
    if split == 'train':
        items = items[: tf.where(events >= MIN_EVENTS, events - 2, events)]
        first_target = tf.constant(1)
    else:
        items = items[: events - 1] if split == 'validation' else items
        first_target = tf.size(items) - 1
    kept = {name: user[name] for name in ('user', 'user_id', 'user_hash')}
    seen = {} if split == 'train' else {SEEN: items[:-1] + 1}
    return {**kept, **seen, 'items': items, 'first_target': first_target}


def next_item_examples(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Every prefix predicts its next item, from `first_target` on (TIGER: a sliding window over the history).

    Gives `history` (int32 [length], oldest first) and `target` (int32 scalar), beside what is known of the
    user.
    """

    def expand(user):
        items = user['items']
        targets = tf.data.Dataset.range(
            tf.cast(user['first_target'], tf.int64), tf.cast(tf.size(items), tf.int64)
        )
        return targets.map(
            lambda position: {
                **{name: value for name, value in user.items() if name not in ('items', 'first_target')},
                'history': items[:position],
                'target': items[position],
            }
        )

    return dataset.flat_map(expand)


def pad_seen(dataset: tf.data.Dataset, *, width: int) -> tf.data.Dataset:
    """Pads `seen` with 0 to one width, as batches are; a dataset without it stays as it is."""
    if SEEN not in dataset.element_spec:
        return dataset

    def pad(example):
        padded = tf.pad(example[SEEN], [[0, width - tf.size(example[SEEN])]])
        return {**example, SEEN: tf.ensure_shape(padded, [width])}

    return dataset.map(pad, num_parallel_calls=tf.data.AUTOTUNE)
