"""Stages that ask systems for ranked items, and keep what each answered, to whom, and in what time.

What the answers are worth is judged when results are put together (`ranking_report`).
"""

import abc
import dataclasses
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Array, Int, PyTree

from llmrec_jax import marks
from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.evaluation.metrics import mean_over_cases, ndcg_at_k, recall_at_k
from llmrec_jax.evaluation.per_user import PerUserResults, per_user_path
from llmrec_jax.evaluation.protocol import SEEN_ITEMS, SPLITS, one_position
from llmrec_jax.evaluation.recommendations import Recommendations
from llmrec_jax.evaluation.recommender import Recommender
from llmrec_jax.runs.artifact import Artifact
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase, Stage
from llmrec_jax.stages.corpus import SPLITS as CORPUS_SPLITS
from llmrec_jax.stages.corpus import CaseDraw
from llmrec_jax.stages.networks import Parameters
from llmrec_jax.training import processes
from llmrec_jax.training.loop import Validate


@dataclasses.dataclass(frozen=True)
class Ranking:
    """How systems that rank a catalogue are compared: by ranking all of it.

    Attributes:
      seen_items: 'kept' or 'removed', the protocol of the main table and of validation; the other is reported
        beside it.
      ks: cut-offs of recall and NDCG.
      list_length: items in every system's list.
      validation_users: users drawn for the validation metric; None for all.
      seed: of the draws of evaluation: validation users, bootstrap, example users of the report.

    Raises:
      ValueError: when a switch has no such position, or the lists are shorter than a cut-off.
    """

    seen_items: str = 'kept'
    ks: tuple[int, ...] = (5, 10)
    list_length: int = 10
    validation_users: int | None = None
    seed: int = 0

    def __post_init__(self):
        one_position('Ranking.seen_items', self.seen_items, SEEN_ITEMS)
        # gin hands over lists.
        object.__setattr__(self, 'ks', tuple(self.ks))
        if self.list_length < max(self.ks):
            raise ValueError(
                f'Ranking.list_length={self.list_length} is shorter than the cut-off {max(self.ks)}'
            )

    @property
    def draw(self) -> CaseDraw:
        """Whose next item is asked for."""
        return CaseDraw(self.validation_users, self.seed)

    def validation(self, retrieval: 'Retrieval') -> 'RankingValidation':
        """The metrics that checkpoints of what answers so are chosen by."""
        return RankingValidation(retrieval, self.draw, self.ks, self.seen_items)


@runtime_checkable
class TrainedRecommender(Recommender, Protocol):
    """A recommender that can be asked with other parameters; nothing is compiled anew for them."""

    def with_params(self, params: PyTree[Array]) -> 'TrainedRecommender':
        """The same with these parameters."""

    def for_users(self, user_ids: Sequence[str]) -> 'TrainedRecommender':
        """The same for users that the corpus need not know; row `i` of cases is then called `user_ids[i]`."""

    def target_ranks(self, cases: RankingCases, k: int, *, seen_items: str) -> Int[np.ndarray, 'cases']:
        """The rank of each case's target, from 1; 0 where it is not ranked, or not found within `k`."""


@runtime_checkable
class Retrieval(Protocol):
    """A frozen dataclass: how a trained model of a run answers histories.

    Attributes:
      parameters: what it answers with.
    """

    parameters: Parameters

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """Artifacts that it is made of, beside the parameters'."""

    def blank(self, run: Run) -> TrainedRecommender:
        """The recommender without parameters."""

    def check(self, run: Run) -> None:
        """Finds out before any work whether it can answer: devices, checkpoint.

        Raises:
          ValueError: when it cannot.
        """


def trained(retrieval: Retrieval, run: Run) -> TrainedRecommender:
    """The recommender with the run's parameters."""
    return retrieval.blank(run).with_params(retrieval.parameters.restore(run))


@dataclasses.dataclass(frozen=True)
class RankingValidation:
    """Recall and NDCG of the recommender on the validation users.

    Attributes:
      retrieval: whose; what is trained decides it.
      draw: whose next item is asked for.
      ks: cut-offs.
      seen_items: 'kept' or 'removed'.
    """

    retrieval: Retrieval = marks.without_effect()
    draw: CaseDraw
    ks: tuple[int, ...]
    seen_items: str

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Validation`."""
        return (CORPUS_SPLITS, *self.retrieval.reads)

    def check(self, run: Run) -> None:
        """See `Validation`."""
        self.retrieval.check(run)

    def validate(self, run: Run) -> Validate:
        """See `Validation`."""
        recommender = self.retrieval.blank(run)
        cases = self.draw.cases(run[CORPUS_SPLITS], 'validation')

        def validate(params: PyTree[Array], step: int) -> Mapping[str, float]:
            del step
            asked = recommender.with_params(params)
            ranks = asked.target_ranks(cases, max(self.ks), seen_items=self.seen_items)
            return ranking_metrics(ranks, self.ks)

        return validate


def ranking_metrics(ranks: Int[np.ndarray, 'cases'], ks: Sequence[int]) -> dict[str, float]:
    """Recall and NDCG at each cut-off, by the names that validation gives them.

    Args:
      ranks: of the targets, from 1; 0 where not ranked.
      ks: the cut-offs.
    """
    named = {f'recall@{k}': mean_over_cases(recall_at_k(ranks, k)) for k in ks}
    return named | {f'ndcg@{k}': mean_over_cases(ndcg_at_k(ranks, k)) for k in ks}


def lists(stage: str, split: str, seen_items: str) -> Artifact[PerUserResults]:
    """What the systems of a stage answered under one protocol."""
    return Artifact(per_user_path(stage, split, seen_items), load=_load_lists, save=_save_lists)


def _load_lists(path: pathlib.Path) -> PerUserResults:
    return PerUserResults.load(path)


def _save_lists(value: PerUserResults, path: pathlib.Path) -> None:
    value.save(path)


class ListStage(Stage):
    """A stage that leaves what systems answered every user of some protocols.

    Attributes:
      draw: whose next item is asked for.
      list_length: items in a list.
      asked: the protocols, as (split, seen items).
      of_trained: whether what it measures was trained in the run; such systems stand first in tables.
    """

    draw: CaseDraw
    list_length: int
    of_trained: ClassVar[bool] = False

    @property
    def asked(self) -> Sequence[tuple[str, str]]:
        """Every split under both positions of the seen-items switch."""
        return [(split, seen) for split in SPLITS for seen in SEEN_ITEMS]

    @property
    def writes(self) -> Sequence[Artifact[Any]]:
        """See `Stage.writes`."""
        return tuple(lists(self.name, split, seen) for split, seen in self.asked)


class RankStage(ListStage):
    """A stage that asks its systems for their lists; attributes as in `ListStage`."""

    @abc.abstractmethod
    def systems(self, run: Run) -> tuple[Mapping[str, Recommender], dict[str, Any]]:
        """What is asked, by name, and what is to be told of it."""

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        systems, told = self.systems(run)
        for split, seen in self.asked:
            cases = self.draw.cases(run[CORPUS_SPLITS], split)
            found = measured(systems, cases, self.list_length, seen)
            if processes.is_first():
                run.put(lists(self.name, split, seen), found)
        return told


def measured(
    systems: Mapping[str, Recommender], cases: RankingCases, k: int, seen_items: str
) -> PerUserResults:
    """Asks each system for `k` items a case, and takes its time.

    Raises:
      ValueError: naming the system, when it fails.
    """
    found: dict[str, Recommendations] = {}
    seconds = {}
    for name, system in systems.items():
        started = time.perf_counter()
        try:
            found[name] = system.recommend(cases, k, seen_items=seen_items)
        except ValueError as error:
            raise ValueError(f'system {name!r}: {error}') from error
        seconds[name] = time.perf_counter() - started
    return PerUserResults(cases.user, cases.target, found, seconds)


@dataclasses.dataclass(frozen=True)
class Evaluate(RankStage):
    """The best checkpoint, or the one that was named, on the test users and on the validation users.

    Attributes:
      system: what it is called.
      retrieval: how it answers.
      draw: see `RankStage`.
      list_length: see `RankStage`.
      seen_items: the main protocol's; the validation users are asked under it alone.
    """

    system: str
    retrieval: Retrieval
    draw: CaseDraw
    list_length: int
    seen_items: str
    name: ClassVar[str] = 'evaluate'
    phase: ClassVar[Phase] = 'evaluate'
    on_all: ClassVar[bool] = True
    of_trained: ClassVar[bool] = True

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Stage.reads`."""
        return (CORPUS_SPLITS, *self.retrieval.reads, *self.retrieval.parameters.reads)

    @property
    def asked(self) -> Sequence[tuple[str, str]]:
        """See `RankStage`."""
        return [*(('test', seen) for seen in SEEN_ITEMS), ('validation', self.seen_items)]

    def check(self, run: Run) -> None:
        """See `Stage.check`."""
        self.retrieval.check(run)
        self.retrieval.parameters.check(run)

    def systems(self, run: Run) -> tuple[Mapping[str, Recommender], dict[str, Any]]:
        """See `RankStage.systems`."""
        recommender = trained(self.retrieval, run)
        return {self.system: recommender}, {'checkpoint': self.retrieval.parameters.called(run)}
