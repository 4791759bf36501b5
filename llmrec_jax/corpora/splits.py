"""What a split leaves of a corpus: training histories, and next items that are asked for.

`split_rules` has the ways to cut; the one that stands here is leave-last-out. The splits of a corpus lie in
one file of arrays, which training and decoding read without TensorFlow.
"""

import dataclasses
import os
import zipfile
import zlib

import numpy as np
from jaxtyping import Bool, Int

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
        values = self.histories.values[runs(self.histories.offsets[rows], lengths)]
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


# What a split makes of an event: learned from, asked for, or known of its user without being learned from.
TRAIN, VALIDATION, TEST, GIVEN = range(4)
# What a history at the time of asking holds: all of the user's events before the target, or of these and of
# later ones all that are learned from or given.
EARLIER, GIVEN_EVENTS = 'earlier', 'given'


@dataclasses.dataclass(frozen=True)
class Cut:
    """What a split makes of each event of a corpus.

    Attributes:
      roles: `TRAIN`, `VALIDATION`, `TEST` or `GIVEN` for each event.
      validation: rows of the events that rankings ask for on the validation split; one a user at most,
        ascending, each with something in its history.
      test: likewise on the test split.
      histories: `EARLIER` or `GIVEN_EVENTS`.
      train_until: the time from which nothing is learned; None where no time ends training.
    """

    roles: Int[np.ndarray, 'events']
    validation: Int[np.ndarray, 'validated']
    test: Int[np.ndarray, 'tested']
    histories: str = EARLIER
    train_until: int | None = None

    def splits(self, corpus: Corpus) -> Splits:
        """The three parts as sequences of items."""
        offsets, users = corpus.user_offsets, np.arange(len(corpus.users))

        def cases(targets: np.ndarray) -> RankingCases:
            user = corpus.events.user[targets]
            if self.histories == EARLIER:
                lengths = targets - offsets[user]
                bounds = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
                histories = Sequences(corpus.events.item[runs(offsets[user], lengths)], bounds)
            else:
                known = _of_users(corpus, (self.roles == TRAIN) | (self.roles == GIVEN))
                histories = RankingCases(users, known, users).select(user).histories
            return RankingCases(user, histories, corpus.events.item[targets])

        train = _of_users(corpus, self.roles == TRAIN)
        return Splits(train, cases(self.validation), cases(self.test))


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
    return cut_ends(corpus, *np.ones((2, len(corpus.users)), np.int64)).splits(corpus)


def cut_ends(corpus: Corpus, validation: Int[np.ndarray, 'users'], test: Int[np.ndarray, 'users']) -> Cut:
    """Cuts the end off every history of `MIN_EVENTS` or more; rankings ask for the first event of each part.

    Args:
      corpus: whose histories.
      validation: how many events of each user validate; at least one, and what is left at least one.
      test: how many test, behind those.
    """
    starts, lengths = corpus.user_offsets[:-1], np.diff(corpus.user_offsets)
    users = np.flatnonzero(lengths >= MIN_EVENTS)
    last = (starts + lengths - test)[users]
    first = last - validation[users]
    # Of all events only the ends are touched, since there may be many.
    roles = np.full(len(corpus.events), TRAIN, np.int8)
    roles[runs(first, validation[users])] = VALIDATION
    roles[runs(last, test[users])] = TEST
    return Cut(roles, first, last)


def _of_users(corpus: Corpus, chosen: Bool[np.ndarray, 'events']) -> Sequences:
    """The items of some events, in their order, user by user."""
    before = np.concatenate([[0], np.cumsum(chosen)])
    return Sequences(corpus.events.item[chosen], before[corpus.user_offsets])


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
