"""Where PALR's candidates come from: a system that only counts, or the lists of another run."""

import dataclasses
import operator
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from llmrec_jax import marks
from llmrec_jax.corpora.raw_files import file_sha256
from llmrec_jax.corpora.splits import RankingCases, Splits
from llmrec_jax.evaluation.baselines.counted import BASELINES, fit_baseline
from llmrec_jax.evaluation.metrics import mean_over_cases, recall_at_k
from llmrec_jax.evaluation.per_user import PerUserResults
from llmrec_jax.evaluation.protocol import SEEN_ITEMS
from llmrec_jax.evaluation.recommender import Recommender
from llmrec_jax.evaluation.retrieval_recommender import RecommenderRetriever, RetrievalRecommender
from llmrec_jax.evaluation.serving import built_index
from llmrec_jax.retrieval.retriever import ABSENT, Requests, Retriever, SearchResult, check_k
from llmrec_jax.runs.artifact import Artifact
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase
from llmrec_jax.stages.baselines import MeasureBaselines
from llmrec_jax.stages.catalogue_file import ShownItems
from llmrec_jax.stages.corpus import CATALOGUE, SPLITS, CaseDraw, drawn_cases
from llmrec_jax.stages.rank import RankStage, lists
from tasks.palr import CANDIDATES as CANDIDATES_FILE
from tasks.palr import RETRIEVER

# The retriever's list for each of those who are asked about; the tasks read it, too.
CANDIDATES: Artifact[PerUserResults] = Artifact(
    CANDIDATES_FILE, load=PerUserResults.load, save=lambda found, path: found.save(path)
)


@runtime_checkable
class CandidateSource(Protocol):
    """A frozen dataclass that gives a retriever over a corpus."""

    def identity(self) -> Any:
        """What decides the candidates beside the corpus, for `fingerprint`."""

    def retriever(self, splits: Splits, catalogue: ShownItems) -> Retriever:
        """The retriever; it has seen `splits.train` alone."""


@dataclasses.dataclass(frozen=True)
class FloorCandidates:
    """A system that only counts training histories; what it costs is seconds, and it is hard to beat.

    Attributes:
      floor: one of `evaluation.baselines.counted.BASELINES`.

    Raises:
      ValueError: when there is no such floor.
    """

    floor: str = 'decayed_markov'

    def __post_init__(self):
        if self.floor not in BASELINES:
            raise ValueError(f'FloorCandidates.floor={self.floor!r} must be one of {", ".join(BASELINES)}')

    def identity(self) -> Any:
        """See `CandidateSource`."""
        return self

    def retriever(self, splits: Splits, catalogue: ShownItems) -> Retriever:
        """See `CandidateSource`.

        Raises:
          ValueError: when the floor counts categories, and no item has any.
        """
        n_items = len(catalogue)
        floor = fit_baseline(self.floor, splits.train, n_items, catalogue.categories)
        return RecommenderRetriever(floor, n_items)


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

    def retriever(self, splits: Splits, catalogue: ShownItems) -> Retriever:
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
        return ListedRetriever(self.lists, found, self.system, len(catalogue))


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
            who = 'a user from outside the corpus' if absent[0] < 0 else f'user {absent[0]}'
            raise ValueError(f'{self.source} has no list of {who}')
        rows = np.asarray([row_of[user] for user in requests.users.tolist()], np.int64)
        found = SearchResult(lists.items[rows], lists.scores[rows])
        if remove_seen:
            found = found.without(requests.the_histories('leaving out seen items'))
            if (found.items[:, :k] == ABSENT).all(axis=1).any():
                raise ValueError(f'{self.source}: a user has had all of a list, so nothing of it is left')
        return found.top(k)


@dataclasses.dataclass(frozen=True)
class PalrDraw(CaseDraw):
    """Whose next item is asked for: all test users, or some of them.

    Attributes:
      test_users: how many, drawn; None for all.
    """

    test_users: int | None = None

    def cases(self, splits: Splits, split: str) -> RankingCases:
        """See `CaseDraw.cases`."""
        cases = super().cases(splits, split)
        return drawn_cases(cases, self.test_users, self.seed) if split == 'test' else cases


@dataclasses.dataclass(frozen=True)
class RetrieveCandidates(RankStage):
    """Asks the retriever for the candidates of everyone who is asked about.

    Attributes:
      retriever: gives them.
      draw: see `RankStage`.
      list_length: candidates of each.
      seen_items: whether items of a history may be among them.
    """

    retriever: CandidateSource = marks.described_by(operator.methodcaller('identity'))
    draw: CaseDraw
    list_length: int
    seen_items: str
    name: ClassVar[str] = 'candidates'
    phase: ClassVar[Phase] = 'prepare'
    reads: ClassVar = (SPLITS, CATALOGUE)

    @property
    def asked(self) -> Sequence[tuple[str, str]]:
        """See `RankStage`."""
        return [('test', self.seen_items)]

    @property
    def writes(self) -> Sequence[Artifact[Any]]:
        """See `Stage.writes`."""
        return (*super().writes, CANDIDATES)

    def systems(self, run: Run) -> tuple[Mapping[str, Recommender], dict[str, Any]]:
        """See `RankStage.systems`."""
        retriever, cost = built_index(lambda: self.retriever.retriever(run[SPLITS], run[CATALOGUE]))
        recommender = RetrievalRecommender(retriever, depth=self.list_length)
        told = {
            'retriever': type(self.retriever).__name__,
            'serving': {'retriever_build': cost.as_dict()},
        }
        return {RETRIEVER: recommender}, told

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        told = super().run(run)
        found = run[lists(self.name, 'test', self.seen_items)]
        run.put(CANDIDATES, found)
        recall = recall_at_k(found.systems[RETRIEVER].target_rank, self.list_length)
        return {**told, 'users': len(found.user), 'recall': mean_over_cases(recall)}


@dataclasses.dataclass(frozen=True)
class MeasureTestBaselines(MeasureBaselines):
    """The systems that only count, on the test users who are asked about; attributes as in `RankStage`."""

    @property
    def asked(self) -> Sequence[tuple[str, str]]:
        """Under both positions of the seen-items switch."""
        return [('test', seen) for seen in SEEN_ITEMS]
