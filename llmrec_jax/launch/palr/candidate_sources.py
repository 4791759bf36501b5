"""Where PALR's candidates come from: a system that only counts, or the lists of another run."""

import dataclasses
import pathlib
from typing import Any, Protocol, runtime_checkable

import numpy as np

from llmrec_jax.corpora.raw_files import file_sha256
from llmrec_jax.corpora.splits import Splits
from llmrec_jax.evaluation.floors.all_floors import FLOORS
from llmrec_jax.evaluation.per_user import PerUserResults
from llmrec_jax.evaluation.recommender_retriever import RecommenderRetriever
from llmrec_jax.retrieval.requests import Requests
from llmrec_jax.retrieval.retriever import Retriever
from llmrec_jax.retrieval.search_result import ABSENT, SearchResult, check_k


@runtime_checkable
class CandidateSource(Protocol):
    """A frozen dataclass that gives a retriever over a corpus."""

    def identity(self) -> Any:
        """What decides the candidates beside the corpus, for `fingerprint`."""

    def retriever(self, splits: Splits, n_items: int) -> Retriever:
        """The retriever; it has seen `splits.train` alone."""


@dataclasses.dataclass(frozen=True)
class FloorCandidates:
    """A system that only counts training histories; what it costs is seconds, and it is hard to beat.

    Attributes:
      floor: one of `evaluation.floors.all_floors.FLOORS`.

    Raises:
      ValueError: when there is no such floor.
    """

    floor: str = 'decayed_markov'

    def __post_init__(self):
        if self.floor not in FLOORS:
            raise ValueError(f'FloorCandidates.floor={self.floor!r} must be one of {", ".join(FLOORS)}')

    def identity(self) -> Any:
        """See `CandidateSource`."""
        return self

    def retriever(self, splits: Splits, n_items: int) -> Retriever:
        """See `CandidateSource`."""
        return RecommenderRetriever(FLOORS[self.floor](splits.train, n_items), n_items)


@dataclasses.dataclass(frozen=True)
class RunCandidates:
    """What a system of another run listed for the users of the test split.

    Any recipe over the same corpus serves whose lists are long enough: it keeps them under
    `evaluation/<stage>/test_<kept or removed>.npz`.

    Attributes:
      lists: that file.
      system: the system's name there, e.g. 'sasrec'.
    """

    lists: str
    system: str

    def identity(self) -> Any:
        """See `CandidateSource`.

        Raises:
          FileNotFoundError: when the lists are not there.
        """
        return self.system, file_sha256(pathlib.Path(self.lists))

    def retriever(self, splits: Splits, n_items: int) -> Retriever:
        """See `CandidateSource`.

        Raises:
          FileNotFoundError, ValueError: naming the file, when it holds no lists of the system, or others than
            this corpus's.
        """
        found = PerUserResults.load(pathlib.Path(self.lists))
        if self.system not in found.systems:
            raise ValueError(
                f'{self.lists} has no lists of {self.system!r}; it has {", ".join(sorted(found.systems))}'
            )
        test = splits.test
        place = np.minimum(np.searchsorted(test.user, found.user), len(test) - 1)
        if (test.user[place] != found.user).any() or (test.target[place] != found.target).any():
            raise ValueError(f'{self.lists} holds lists of the users of another corpus, or of another split')
        return ListedRetriever(self.lists, found, self.system, n_items)


@dataclasses.dataclass(frozen=True, eq=False)
class ListedRetriever:
    """A retriever whose candidates were listed before, by user.

    Attributes:
      source: what the lists are called in messages.
      found: the lists.
      system: whose.
      n_items: size of the catalogue.
    """

    source: str
    found: PerUserResults
    system: str
    n_items: int

    def retrieve(self, requests: Requests, k: int, *, remove_seen: bool = False) -> SearchResult:
        """See `Retriever.retrieve`.

        Raises:
          ValueError: further, when nobody knows who asks, a user has no list, or lists are shorter than `k`.
        """
        check_k(k, self.n_items)
        if requests.users is None:
            raise ValueError(f'{self.source} holds lists by user, and these requests do not say who asks')
        lists = self.found.systems[self.system]
        if lists.items.shape[1] < k:
            raise ValueError(
                f'{self.source}: {self.system!r} lists {lists.items.shape[1]} items a user, but {k} are '
                'wanted: raise the list_length of that run'
            )
        row_of = {user: row for row, user in enumerate(self.found.user.tolist())}
        absent = [user for user in requests.users.tolist() if user not in row_of]
        if absent:
            raise ValueError(f'{self.source} has no list of user {absent[0]}')
        rows = np.asarray([row_of[user] for user in requests.users.tolist()], np.int64)
        found = SearchResult(lists.items[rows], lists.scores[rows])
        if remove_seen:
            found = found.without(requests.the_histories('leaving out seen items'))
            if (found.items[:, :k] == ABSENT).all(axis=1).any():
                raise ValueError(f'{self.source}: a user has had all of a list, so nothing of it is left')
        return found.top(k)
