"""A SeqIO source of user histories as any split leaves them, from arrays in memory."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import seqio
import tensorflow as tf

from llmrec_jax.corpora.prepare import PreparedCorpus, load_corpus
from llmrec_jax.corpora.split_rules import SplitRule, described, is_default, split_by
from llmrec_jax.corpora.splits import RankingCases, Sequences, Splits, user_hash
from llmrec_jax.evaluation.results import metric_suffix
from llmrec_jax.models.ranked_catalogue import SEEN
from llmrec_jax.prompts.records.record_table import Records, take_rows
from llmrec_jax.prompts.tf_prompts import records_dataset
from tasks.leave_last_out import SPLITS, LeaveLastOutSource


class SplitSource(seqio.FunctionDataSource):
    """Gives each split what it may see of a user; examples are those of `LeaveLastOutSource`.

    Training has the training history of each user who has any; validation and test the history of each case
    and its target. Held in memory are the items of all three, and the users' ids.
    """

    def __init__(self, splits: Splits, user_ids: Sequence[str]):
        """Makes the tables.

        Args:
          splits: of a corpus.
          user_ids: what its users are called, by row.
        """
        self._tables = {
            'train': _training(splits),
            **{split: _asked(getattr(splits, split)) for split in SPLITS if split != 'train'},
        }
        self._users = {
            'user_id': list(user_ids),
            'user_hash': [user_hash(user_id) for user_id in user_ids],
        }
        self.training_pairs = int((self._tables['train'].columns['items'].lengths - 1).sum())
        self.longest_history = max(
            int(table.columns['items'].lengths.max(initial=0)) for table in self._tables.values()
        )
        super().__init__(
            self._dataset,
            splits=SPLITS,
            num_input_examples={split: len(table) for split, table in self._tables.items()},
        )

    def _dataset(self, split: str, shuffle_files: bool = False, seed: int | None = None) -> tf.data.Dataset:
        del shuffle_files, seed
        user_ids = tf.constant(self._users['user_id'])
        hashes = tf.constant(self._users['user_hash'], tf.int64)

        def convert(record):
            items, user = tf.cast(record['items'], tf.int32), record['user']
            seen = {} if split == 'train' else {SEEN: items[:-1] + 1}
            return {
                'user': user,
                'user_id': user_ids[user],
                'user_hash': hashes[user],
                'items': items,
                'first_target': tf.constant(1) if split == 'train' else tf.size(items) - 1,
                **seen,
            }

        return records_dataset(self._tables[split]).map(convert, num_parallel_calls=tf.data.AUTOTUNE)


def history_source(prepared: PreparedCorpus, split: SplitRule) -> LeaveLastOutSource | SplitSource:
    """The source of a prepared corpus under a split.

    Leave-last-out is cut user by user as the table is read; any other split is made of the whole corpus.

    Args:
      prepared: where TFDS keeps it.
      split: what is held out.

    Raises:
      ValueError: when the corpus cannot be split so.
    """
    if is_default(split):
        return LeaveLastOutSource(prepared.users_name, str(prepared.data_dir))
    corpus = load_corpus(prepared)
    return SplitSource(split_by(split, corpus), corpus.users.user_id)


def split_in_names(split: SplitRule) -> tuple[Any, ...]:
    """What a split adds to the digest in a task's name: nothing where it is leave-last-out."""
    return () if is_default(split) else (described(split),)


def split_suffix(split: SplitRule) -> str:
    """What a split puts at the end of names of metrics."""
    return metric_suffix(described(split))


def _training(splits: Splits) -> Records:
    users = np.flatnonzero(splits.train.lengths)
    return Records({'user': users, 'items': take_rows(splits.train, users)})


def _asked(cases: RankingCases) -> Records:
    """The history of each case and its target, as one row."""
    histories = cases.histories
    whole = Sequences(
        np.insert(histories.values, histories.offsets[1:], cases.target),
        histories.offsets + np.arange(len(cases) + 1),
    )
    return Records({'user': cases.user, 'items': whole})
