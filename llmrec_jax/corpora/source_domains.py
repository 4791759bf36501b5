"""The domains that are learned from, as one: their items in one catalogue, their users in one list."""

import dataclasses
import os
import zipfile
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax import files
from llmrec_jax.corpora.splits import RankingCases, Sequences, Splits

# What a control destroys before pre-training: nothing, the order within each history, which items make up a
# history, or which text belongs to which item.
NOTHING, ORDER, HISTORIES, TEXT = 'nothing', 'order', 'histories', 'text'
SHUFFLES = (NOTHING, ORDER, HISTORIES, TEXT)


@dataclasses.dataclass(frozen=True)
class SourceDomains:
    """Several domains side by side; the items of a later one follow those of an earlier one, and so do
    users.

    The last item of a user is left out, as everywhere: pre-training sees what a recommender of the domain
    would.

    Attributes:
      train: each user's training history.
      validation: the item after it, of each user who has one.
      n_items: size of each domain's catalogue.
    """

    train: Sequences
    validation: RankingCases
    n_items: tuple[int, ...]

    @property
    def first_items(self) -> Int[np.ndarray, 'domains_plus_1']:
        """Row of each domain's first item, and the number of all items."""
        return np.concatenate([[0], np.cumsum(self.n_items)]).astype(np.int64)

    def save(self, path: str | os.PathLike) -> None:
        """Writes one `.npz` file, whole or not at all."""
        with files.written_whole(path) as file:
            np.savez(
                file,
                train_values=self.train.values,
                train_offsets=self.train.offsets,
                user=self.validation.user,
                target=self.validation.target,
                n_items=np.asarray(self.n_items),
            )

    @classmethod
    def load(cls, path: str | os.PathLike) -> 'SourceDomains':
        """Reads what `save` wrote.

        Raises:
          FileNotFoundError: when it is not there.
          ValueError: when the file is damaged.
        """
        try:
            with np.load(path) as arrays:
                train = Sequences(arrays['train_values'], arrays['train_offsets'])
                user = arrays['user']
                cases = RankingCases(user, _chosen(train, user), arrays['target'])
                return cls(train, cases, tuple(arrays['n_items'].tolist()))
        except (zipfile.BadZipFile, KeyError, EOFError, ValueError) as error:
            raise ValueError(
                f'{path} is damaged ({error}); delete it and run the sources stage again'
            ) from error

    def shuffled(self, shuffle: str, seed: int) -> 'SourceDomains':
        """The domains with some of what they tell destroyed, as a control that must not help.

        Args:
          shuffle: 'order' draws the order of each history anew; 'histories' deals a domain's events out to
            its histories anew, which keeps their lengths and the items' popularity; any other leaves
            sequences as they are.
          seed: of the draws.
        """
        if shuffle not in (ORDER, HISTORIES):
            return self
        rng = np.random.default_rng(seed)
        whole = _with_next(self.train, self.validation)
        if shuffle == ORDER:
            group = np.repeat(np.arange(len(whole)), whole.lengths)
        else:
            group = np.searchsorted(self.first_items, whole.values, side='right')
        drawn = np.lexsort((rng.random(len(group)), group))
        values = np.empty_like(whole.values)
        values[np.argsort(group, kind='stable')] = whole.values[drawn]
        return dataclasses.replace(
            self, **_without_next(Sequences(values, whole.offsets), self.train, self.validation)
        )


def join(splits: Sequence[Splits], n_items: Sequence[int]) -> SourceDomains:
    """Puts domains side by side.

    Args:
      splits: of each domain.
      n_items: size of each catalogue.
    """
    first_items = np.concatenate([[0], np.cumsum(n_items)])
    first_users = np.concatenate([[0], np.cumsum([len(one.train) for one in splits])])
    return SourceDomains(
        _concatenated([one.train for one in splits], first_items),
        RankingCases(
            np.concatenate([one.validation.user + first for one, first in zip(splits, first_users)]),
            _concatenated([one.validation.histories for one in splits], first_items),
            np.concatenate([one.validation.target + first for one, first in zip(splits, first_items)]),
        ),
        tuple(int(n) for n in n_items),
    )


def centred(
    vectors: Float[np.ndarray, 'items dim'], n_items: Sequence[int]
) -> Float[np.ndarray, 'items dim']:
    """The vectors less the mean of their domain, at length 1.

    What all texts of a domain share tells which domain it is, and of its items nothing.

    Args:
      vectors: of the domains one after the other.
      n_items: size of each domain's catalogue.
    """
    parts = np.split(vectors, np.cumsum(n_items)[:-1])
    moved = np.concatenate([part - part.mean(axis=0) for part in parts])
    # An item that says exactly what all say has no direction, and stays at 0.
    return moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-12)


def shuffled_rows(
    vectors: Float[np.ndarray, 'items dim'], n_items: Sequence[int], seed: int
) -> Float[np.ndarray, 'items dim']:
    """The vectors of each domain, each of another item of that domain: the control that shuffles texts."""
    rng = np.random.default_rng(seed)
    bounds = np.concatenate([[0], np.cumsum(n_items)])
    return vectors[np.concatenate([first + rng.permutation(n) for first, n in zip(bounds, n_items)])]


def _concatenated(parts: Sequence[Sequences], first_items: np.ndarray) -> Sequences:
    values = np.concatenate([part.values + first for part, first in zip(parts, first_items)])
    lengths = np.concatenate([part.lengths for part in parts])
    return Sequences(values, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


def _with_next(train: Sequences, validation: RankingCases) -> Sequences:
    """Each user's history with the validation item at its end, where there is one."""
    lengths = train.lengths.copy()
    lengths[validation.user] += 1
    values = np.insert(train.values, train.offsets[1:][validation.user], validation.target)
    return Sequences(values, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


def _without_next(whole: Sequences, train: Sequences, validation: RankingCases) -> dict:
    """Undoes `_with_next`: train and validation of the same shape, with the items of `whole`."""
    ends = whole.offsets[1:][validation.user] - 1
    kept = Sequences(np.delete(whole.values, ends), train.offsets)
    cases = RankingCases(validation.user, _chosen(kept, validation.user), whole.values[ends])
    return {'train': kept, 'validation': cases}


def _chosen(histories: Sequences, rows: Int[np.ndarray, 'chosen']) -> Sequences:
    users = np.arange(len(histories))
    return RankingCases(users, histories, users).select(rows).histories
