"""All of PALR's prompts over one corpus: groups, records of every split, and the words that fill them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from llmrec_jax import marks
from llmrec_jax.corpora.corpus import Corpus
from llmrec_jax.corpora.split_rules import LEAVE_LAST_OUT, SplitRule
from llmrec_jax.corpora.splits import RankingCases, Sequences
from llmrec_jax.prompts.naming.scheme import ItemNaming
from llmrec_jax.prompts.naming.titles import ListedTitles
from llmrec_jax.prompts.palr.forms import (
    RECOMMEND,
    RECOMMEND_DRAWN,
    RECOMMEND_RETRIEVAL,
    TEMPLATES,
    FollowingItems,
    FollowingItemsOfCandidates,
    FollowingItemsOfRetrieved,
    profile_text,
)
from llmrec_jax.prompts.palr.windows import (
    ALIKE,
    SAME_PATH,
    HardNegatives,
    Windows,
    WindowSettings,
    training_windows,
    windows_of_cases,
    with_hard_negatives,
)
from llmrec_jax.prompts.prompt_group import PromptGroup
from llmrec_jax.prompts.records.record_table import Records
from llmrec_jax.subsets import draw_rows

ABSENT = -1


class PalrData(NamedTuple):
    """What PALR's tasks over one corpus are made of.

    Attributes:
      training_groups: by name ('recommend', 'recommend_retrieval').
      evaluation_groups: likewise, the second over retrieved candidates; and 'recommend_drawn', over
        candidates that are drawn as in training, the target always among them.
      training_records: split ('train', 'validation') -> group's name -> its records.
      evaluation_records: group's name -> its test records.
      tables: the words to look rows up in.
    """

    training_groups: Mapping[str, PromptGroup]
    evaluation_groups: Mapping[str, PromptGroup]
    training_records: Mapping[str, Mapping[str, Records]]
    evaluation_records: Mapping[str, Records]
    tables: Mapping[str, list[str]]


@dataclasses.dataclass(frozen=True)
class Palr:
    """How a corpus becomes PALR's prompts.

    Attributes:
      windows: histories and targets of training.
      item_naming: items as words; names have no double quotes and no '|' in them.
      wanted: items that the instruction asks for.
      candidates: shown in a training prompt with candidates; as many as the retriever gives at inference.
      hard_share: see `FollowingItemsOfCandidates`.
      pool: hard negatives of a prompt to draw from, epoch by epoch.
      alike: which items are of a target's category, and hard negatives: those of the same whole 'path', for
        the tree of a shop, whose upper categories hold nearly everything; or those with a 'shared' one, for
        genres, of which few films have exactly the same.
      validation_users: users whose validation items give the validation loss, drawn; None for all.

    Raises:
      ValueError: when a number is out of range.
    """

    windows: WindowSettings = dataclasses.field(default_factory=WindowSettings)
    item_naming: ItemNaming = dataclasses.field(default_factory=ListedTitles)
    wanted: int = 10
    candidates: int = 50
    hard_share: int | float = 0.5
    pool: int = 100
    alike: str = marks.silent_default(SAME_PATH)
    validation_users: int | None = 1000

    def __post_init__(self):
        if not 1 <= self.windows.targets < self.candidates:
            raise ValueError(
                f'Palr.candidates={self.candidates} must be more than WindowSettings.targets='
                f'{self.windows.targets}: all targets are among the candidates'
            )
        if self.alike not in ALIKE:
            raise ValueError(f'Palr.alike={self.alike!r} must be one of {", ".join(ALIKE)}')
        for name in ('wanted', 'pool', 'validation_users'):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f'Palr.{name}={getattr(self, name)} must be at least 1')

    def build(
        self,
        corpus: Corpus,
        keywords: Sequence[tuple[str, ...]],
        asked: Int[np.ndarray, 'cases'],
        retrieved: Int[np.ndarray, 'cases k'],
        seed: int,
        split: SplitRule = LEAVE_LAST_OUT,
    ) -> PalrData:
        """The groups and their records.

        Args:
          corpus: of the prompts.
          keywords: of each user's profile, made of what training shows of the user.
          asked: rows of the users who are asked about on the test split.
          retrieved: of each of them the candidates, best first; -1 where there are fewer.
          seed: of the draws.
          split: what is held out.

        Raises:
          ValueError: when there are not keywords for every user, a user who is asked about has no test case
            or no candidates, a name cannot be listed, or the catalogue is too small for the candidates.
        """
        if len(keywords) != len(corpus.users):
            raise ValueError(f'{corpus.name}: keywords of {len(keywords)} of {len(corpus.users)} users')
        splits = split.cut(corpus).splits(corpus)
        n_items = len(corpus.items)
        names = self.item_naming.item_names(corpus, splits.train)
        _check_names(names)
        negatives = HardNegatives.of(splits.train, corpus.items.categories, self.alike)
        validation = splits.validation.select(
            draw_rows(len(splits.validation), self.validation_users, (seed, 2))
        )
        windows = {
            'train': training_windows(splits.train, n_items, self.windows, seed),
            'validation': windows_of_cases(validation, self.windows.max_history),
        }
        records = {
            split: self._training(of_split, splits.train, negatives, n_items, seed)
            for split, of_split in windows.items()
        }
        tests = windows_of_cases(_cases_of(splits.test, asked), self.windows.max_history)
        shown = _shuffled(retrieved, tests.user, seed)
        columns = _columns(tests)
        recommend, choose = TEMPLATES
        drawn = PromptGroup(FollowingItemsOfCandidates(self.candidates, self.hard_share), (choose,))
        return PalrData(
            training_groups={
                RECOMMEND: PromptGroup(FollowingItems(), (recommend,)),
                RECOMMEND_RETRIEVAL: drawn,
            },
            evaluation_groups={
                RECOMMEND: PromptGroup(FollowingItems(), (recommend,)),
                RECOMMEND_RETRIEVAL: PromptGroup(FollowingItemsOfRetrieved(), (choose,)),
                RECOMMEND_DRAWN: drawn,
            },
            training_records=records,
            evaluation_records={
                RECOMMEND: Records(columns),
                RECOMMEND_RETRIEVAL: Records({**columns, 'candidates': shown}),
                RECOMMEND_DRAWN: self._training(tests, splits.train, negatives, n_items, seed)[
                    RECOMMEND_RETRIEVAL
                ],
            },
            tables={
                'item': names,
                'profile': [profile_text(words) for words in keywords],
                'wanted': [str(self.wanted)],
            },
        )

    def _training(
        self, windows: Windows, train: Sequences, negatives: HardNegatives, n_items: int, seed: int
    ) -> dict[str, Records]:
        hard, excluded = with_hard_negatives(windows, train, negatives, self.pool, seed)
        most = int(excluded.lengths.max())
        if n_items - most < self.candidates:
            raise ValueError(
                f'of {n_items} items a user has had or may be shown {most} already, which leaves too few for '
                f'{self.candidates} candidates: lower Palr.candidates or Palr.pool'
            )
        columns = _columns(windows)
        return {
            RECOMMEND: Records(columns),
            RECOMMEND_RETRIEVAL: Records({**columns, 'hard': hard, 'excluded': excluded}),
        }


def _columns(windows: Windows) -> dict[str, np.ndarray | Sequences]:
    return {'user': windows.user, 'history': windows.history, 'targets': windows.targets}


def _check_names(names: Sequence[str]) -> None:
    for item, name in enumerate(names):
        if '"' in name or '|' in name:
            raise ValueError(
                f'item {item} is called {name!r}, which cannot be listed: use naming.titles.ListedTitles, or '
                'names without double quotes and |'
            )


def _cases_of(cases: RankingCases, users: Int[np.ndarray, 'users']) -> RankingCases:
    row_of = {user: row for row, user in enumerate(cases.user.tolist())}
    absent = [user for user in users.tolist() if user not in row_of]
    if absent:
        raise ValueError(f'user {absent[0]} has candidates but no test case: run the candidates stage again')
    return cases.select(np.asarray([row_of[user] for user in users.tolist()], np.int64))


def in_own_order(candidates: Int[np.ndarray, 'k'], user: int, seed: int) -> Int[np.ndarray, 'k']:
    """Candidates in an order of the user's own, in which the retriever's does not show.

    Args:
      candidates: rows of items.
      user: row of the user, or another number that tells users apart.
      seed: of the draw.
    """
    return np.random.default_rng((seed, 3, user)).permutation(candidates).astype(np.int64)


def _shuffled(retrieved: Int[np.ndarray, 'cases k'], users: Int[np.ndarray, 'cases'], seed: int) -> Sequences:
    """The candidates of each user in an order of the user's own, in which the retriever's does not show."""
    rows = []
    for user, items in zip(users.tolist(), retrieved):
        there = items[items != ABSENT]
        if not len(there):
            raise ValueError(f'user {user} has no candidates: take another retriever')
        rows.append(in_own_order(there, user, seed))
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    return Sequences(np.concatenate(rows), offsets)
