"""Names that are numbers: 'item_7391', 'user_23', or an item's semantic ID."""

import dataclasses
from typing import ClassVar

import numpy as np
from jaxtyping import Int

from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.splits import Sequences


def _by_first_appearance(items: Int[np.ndarray, 'events']) -> Int[np.ndarray, 'seen']:
    values, first = np.unique(items, return_index=True)
    return values[np.argsort(first)]


def _numbered(prefix: str, order: Int[np.ndarray, 'rows']) -> list[str]:
    """The name of each row, when row `order[n]` has the number n + 1."""
    numbers = np.empty(len(order), np.int64)
    numbers[order] = np.arange(1, len(order) + 1)
    return [f'{prefix}{number}' for number in numbers.tolist()]


def _then_the_rest(first: Int[np.ndarray, 'first'], rest: Int[np.ndarray, 'rows']) -> np.ndarray:
    return np.concatenate([first, rest[~np.isin(rest, first)]])


@dataclasses.dataclass(frozen=True)
class SequentialNumbers:
    """Numbers by first appearance while walking every user's whole history, as P5's data have them.

    The test items are walked too, so that a test item is often the largest number of its history plus one.
    On a corpus whose rows are in the published order this gives the published ids. Users are numbered as they
    stand in the corpus.

    Attributes:
      item_prefix: before an item's number.
      user_prefix: before a user's number.
    """

    item_prefix: str = 'item_'
    user_prefix: str = 'user_'
    leaks: ClassVar[bool] = True

    def item_names(self, corpus: Corpus, train: Sequences) -> list[str]:
        """See `scheme.ItemNaming`; items without events come last."""
        order = _by_first_appearance(corpus.events.item)
        return _numbered(self.item_prefix, _then_the_rest(order, np.arange(len(corpus.items))))

    def user_names(self, corpus: Corpus, train: Sequences) -> list[str]:
        """See `scheme.UserNaming`."""
        return _numbered(self.user_prefix, np.arange(len(corpus.users)))


@dataclasses.dataclass(frozen=True)
class TrainingNumbers:
    """Numbers by first appearance in the training histories; items that are not in one are shuffled behind.

    Attributes:
      seed: of the shuffle.
      item_prefix: before an item's number.
    """

    seed: int = 0
    item_prefix: str = 'item_'
    leaks: ClassVar[bool] = False

    def item_names(self, corpus: Corpus, train: Sequences) -> list[str]:
        """See `scheme.ItemNaming`."""
        shuffled = np.random.default_rng(self.seed).permutation(len(corpus.items))
        return _numbered(self.item_prefix, _then_the_rest(_by_first_appearance(train.values), shuffled))


@dataclasses.dataclass(frozen=True)
class RandomNumbers:
    """Random numbers, which tell nothing.

    Attributes:
      seed: of the permutations.
      item_prefix: before an item's number.
      user_prefix: before a user's number.
    """

    seed: int = 0
    item_prefix: str = 'item_'
    user_prefix: str = 'user_'
    leaks: ClassVar[bool] = False

    def item_names(self, corpus: Corpus, train: Sequences) -> list[str]:
        """See `scheme.ItemNaming`."""
        return _numbered(self.item_prefix, self._permutation('items', len(corpus.items)))

    def user_names(self, corpus: Corpus, train: Sequences) -> list[str]:
        """See `scheme.UserNaming`."""
        return _numbered(self.user_prefix, self._permutation('users', len(corpus.users)))

    def _permutation(self, what: str, rows: int) -> Int[np.ndarray, 'rows']:
        return np.random.default_rng([self.seed, *what.encode()]).permutation(rows)


@dataclasses.dataclass(frozen=True)
class CodeNames:
    """One word an item, of its codes level by level: '<0_12><1_55><2_8>'.

    Its parts are the tokens of the semantic-ID vocabulary, so that a text vocabulary to which those are added
    as symbols reads a code as one piece.

    Attributes:
      codes: row `i` is item `i`'s code at each level.
    """

    codes: Int[np.ndarray, 'items levels']
    leaks: ClassVar[bool] = False

    def item_names(self, corpus: Corpus, train: Sequences) -> list[str]:
        """See `scheme.ItemNaming`.

        Raises:
          ValueError: when the codes are not one row an item, or two items have the same.
        """
        if len(self.codes) != len(corpus.items):
            raise ValueError(f'{corpus.name}: {len(self.codes)} rows of codes for {len(corpus.items)} items')
        names = [
            ''.join(f'<{level}_{code}>' for level, code in enumerate(codes)) for codes in self.codes.tolist()
        ]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f'{corpus.name}: two items have the codes {twice}: resolve collisions first')
        return names
