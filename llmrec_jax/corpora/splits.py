"""Leave-last-out: the last item of a user is the test target, the last but one the validation target.

The splits of a corpus lie in one file of arrays, which training and decoding read without TensorFlow.
"""

import dataclasses
import os
import zipfile
import zlib

import numpy as np
from jaxtyping import Int

from llmrec_jax import files
from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.event_rows import runs


@dataclasses.dataclass(frozen=True)
class Sequences:
    """Ragged rows of item indices: row `i` is `values[offsets[i]:offsets[i + 1]]`."""

    values: Int[np.ndarray, 'events']
    offsets: Int[np.ndarray, 'rows_plus_1']

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> Int[np.ndarray, 'length']:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    def rows(self, start: int, stop: int) -> 'Sequences':
        """The rows from `start` to before `stop`, without copying what they hold."""
        offsets = self.offsets[start : stop + 1]
        return Sequences(self.values[offsets[0] : offsets[-1]], offsets - offsets[0])

    @property
    def lengths(self) -> Int[np.ndarray, 'rows']:
        """Number of items in each row."""
        return np.diff(self.offsets)

    def last(self, length: int) -> tuple[Int[np.ndarray, 'rows length'], Int[np.ndarray, 'rows']]:
        """The last `length` items of each row, oldest first, padded right with -1; and how many there are."""
        counts = np.minimum(self.lengths, length)
        columns = np.arange(length)[None, :]
        start = self.offsets[1:] - counts
        index = np.minimum(start[:, None] + columns, max(len(self.values) - 1, 0))
        inside = columns < counts[:, None]
        items = self.values[index] if len(self.values) else np.zeros_like(index)
        return np.where(inside, items, -1), counts


@dataclasses.dataclass(frozen=True)
class RankingCases:
    """Next-item predictions to be made: who, what came before, and what came next."""

    user: Int[np.ndarray, 'cases']
    histories: Sequences
    target: Int[np.ndarray, 'cases']

    def __len__(self) -> int:
        return len(self.user)

    def select(self, rows: Int[np.ndarray, 'chosen']) -> 'RankingCases':
        """The cases at `rows`, in that order."""
        lengths = self.histories.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        parts = [self.histories[int(row)] for row in rows]
        values = np.concatenate(parts) if parts else self.histories.values[:0]
        return RankingCases(self.user[rows], Sequences(values, offsets), self.target[rows])


@dataclasses.dataclass(frozen=True)
class Splits:
    """The three parts of a corpus; row `u` of `train` is user `u`'s training history."""

    train: Sequences
    validation: RankingCases
    test: RankingCases


MIN_EVENTS = 3


def training_pairs(lengths: Int[np.ndarray, 'users']) -> int:
    """How many times a training history is followed by an item of it, over users of so many events."""
    kept = np.where(lengths >= MIN_EVENTS, lengths - 2, lengths)
    return int(np.maximum(kept - 1, 0).sum())


def check_histories(corpus: Corpus) -> None:
    """Looks whether leave-last-out finds anyone to ask.

    Raises:
      ValueError: when no user has `MIN_EVENTS` events, telling how many have how many.
    """
    lengths = np.diff(corpus.user_offsets)
    if len(lengths) and lengths.max() >= MIN_EVENTS:
        return
    counts = [
        f'{users} users have {events}'
        for events, users in enumerate(np.bincount(lengths))
        if events and users
    ]
    raise ValueError(
        f'corpus {corpus.name!r}: no user has {MIN_EVENTS} events, which leave-last-out needs to train, '
        f'validate and test ({", ".join(counts) or "there are none at all"}); give longer histories'
    )


def leave_last_out(corpus: Corpus) -> Splits:
    """Splits every user's history (papers: S3-Rec, P5, TIGER).

    A user with at least three events gives: train `events[:-2]`; validation, `events[:-2]` predicts
    `events[-2]`; test, `events[:-1]` predicts `events[-1]` (the validation item is in the test-time history).
    A user with fewer events is in train alone.
    """
    items = corpus.events.item
    offsets = corpus.user_offsets
    lengths = np.diff(offsets)
    evaluated = np.flatnonzero(lengths >= MIN_EVENTS)
    held_out = np.where(lengths >= MIN_EVENTS, 2, 0)

    def without_last(counts: np.ndarray, users: np.ndarray) -> Sequences:
        kept = lengths[users] - counts
        new_offsets = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
        return Sequences(items[runs(offsets[users], kept)], new_offsets)

    ends = offsets[1:][evaluated]
    return Splits(
        train=without_last(held_out, np.arange(len(lengths))),
        validation=RankingCases(
            evaluated, without_last(np.full(len(evaluated), 2), evaluated), items[ends - 2]
        ),
        test=RankingCases(evaluated, without_last(np.full(len(evaluated), 1), evaluated), items[ends - 1]),
    )


def save_splits(splits: Splits, path: str | os.PathLike) -> None:
    """Writes `splits` to `path` (.npz), whole or not at all."""
    arrays = {'train/values': splits.train.values, 'train/offsets': splits.train.offsets}
    for name, cases in (('validation', splits.validation), ('test', splits.test)):
        arrays[f'{name}/user'] = cases.user
        arrays[f'{name}/values'] = cases.histories.values
        arrays[f'{name}/offsets'] = cases.histories.offsets
        arrays[f'{name}/target'] = cases.target
    with files.written_whole(path) as file:
        np.savez(file, **arrays)


def load_splits(path: str | os.PathLike) -> Splits:
    """Reads what `save_splits` wrote.

    Raises:
      FileNotFoundError: when it is not there.
      ValueError: when the file is damaged.
    """
    try:
        with np.load(path) as arrays:
            cases = {
                name: RankingCases(
                    arrays[f'{name}/user'],
                    Sequences(arrays[f'{name}/values'], arrays[f'{name}/offsets']),
                    arrays[f'{name}/target'],
                )
                for name in ('validation', 'test')
            }
            return Splits(Sequences(arrays['train/values'], arrays['train/offsets']), **cases)
    except (zipfile.BadZipFile, KeyError, EOFError, ValueError) as error:
        raise ValueError(f'{path} is damaged ({error}); delete it and run the corpus stage again') from error


def user_hash(user_id: str) -> int:
    """crc32 of the id's bytes. Prepared corpora keep it, so that nothing else need compute it."""
    return zlib.crc32(user_id.encode())
