"""What a kind of answer is, and what it is given: what was asked, who predicts, and baselines."""

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.evaluation.baselines.fitted import FittedBaselines
from llmrec_jax.evaluation.metric_estimates import MetricEstimates
from llmrec_jax.evaluation.recommender import DenseRecommender

Scale = tuple[float, float]
# To each of the examples that were asked, as the predictor reads it.
Answers = Sequence[Mapping[str, Any]]
# Cut-offs of hit rate and NDCG.
Ks = Sequence[int]


@dataclasses.dataclass(frozen=True, eq=False)
class AskedExamples:
    """The examples of a task that were asked, row by row.

    Attributes:
      references: the right answers, as they were rendered.
      columns: whole numbers beside the text, as far as the task has them: `user` (row), `target` (row of the
        item to be named or asked about), `answer` (1 for yes).
      candidates: rows of the items that each example offers, padded with -1; None where none are offered.
      group_size: examples that are one question; see `AnswerKind.group_size`.
      scale: fewest and most stars, where the answer is a rating.
    """

    references: Sequence[str]
    columns: Mapping[str, Int[np.ndarray, 'asked']]
    candidates: Int[np.ndarray, 'asked offered'] | None = None
    group_size: int = 1
    scale: Scale | None = None


@runtime_checkable
class AskedTask(Protocol):
    """What of a task decides how it is answered.

    Attributes:
      template: the template's id.
      scale: fewest and most stars, where the answer is a rating.
      candidates: rows of the items that each example offers, padded with -1; None where none are offered.
    """

    template: str
    scale: Scale | None
    candidates: Int[np.ndarray, 'examples offered'] | None


@runtime_checkable
class NamedItems(Protocol):
    """The items as a language model writes them.

    Attributes:
      names: by row of the catalogue.
    """

    names: Sequence[str]

    def as_names(self, texts: Sequence[str]) -> list[str]:
        """Each text, or the item's name that the text is to the vocabulary."""

    def listed(self, text: str) -> list[str]:
        """What a written list names, in its order: items' names, and texts that name none."""


@runtime_checkable
class Predictor(Protocol):
    """Answers the examples of one task."""

    def ask(self, batch: Any) -> dict[str, Any]:
        """Answers of a batch, on the devices."""

    def read(self, answered: dict[str, Any], place: int) -> dict[str, Any]:
        """The answer at one place of the batch, as JSON; 'answer' is what a reader wants to see of it."""


@runtime_checkable
class Predictors(Protocol):
    """A trained model's ways of answering, from which each kind takes its own."""

    def texts(self, template: str) -> Predictor:
        """What the decoder of a template writes."""

    def stars(self, template: str, scale: Scale) -> Predictor:
        """A rating that is written, and the mean of all ratings by the model's probabilities."""

    def choice(self, template: str, words: tuple[str, str]) -> Predictor:
        """One of two words that is written, and how far the model prefers the first."""

    def items(self) -> Predictor:
        """The best items of the catalogue."""

    def candidates(self, offered: Int[np.ndarray, 'examples offered']) -> Predictor:
        """The best of each example's candidates."""

    def yes_preference(self) -> Predictor:
        """How far the model prefers 'yes' to 'no' as the first word."""


@runtime_checkable
class BaselineSource(Protocol):
    """What the baselines of one task are made of."""

    def fitted(self) -> FittedBaselines | None:
        """What was fitted on training answers; None where training knows nothing like the task."""

    def ranking(self) -> Mapping[str, DenseRecommender]:
        """The systems that only count, by name."""

    def cases(self, users: Int[np.ndarray, 'asked']) -> RankingCases:
        """Histories and targets of the users."""


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingAnswers:
    """The right answers of training to one task's question.

    Attributes:
      texts: the answers.
      user: row of each example's user.
      item: row of the item that it is about.
      users: how many users training has.
      items: size of the catalogue.
      scale: fewest and most stars, where the answer is a rating.
    """

    texts: Sequence[str]
    user: Int[np.ndarray, 'answers']
    item: Int[np.ndarray, 'answers']
    users: int
    items: int
    scale: Scale | None


class AnswerKind(abc.ABC):
    """What a right answer is, and all that follows from it; a class has no state.

    Attributes:
      name: in `task.json`, and in results.
      label: the heading of its tables.
      names_items: whether an answer is read by the items' names, which then decide it.
      offers_candidates: whether a question comes with candidates to choose from.
      in_words: whether its baselines are fitted on training answers, when the tasks are made.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    names_items: ClassVar[bool] = False
    offers_candidates: ClassVar[bool] = False
    in_words: ClassVar[bool] = False

    def group_size(self, candidates: int | None) -> int:
        """Examples that are one question, of a task that offers so many candidates."""
        del candidates
        return 1

    @abc.abstractmethod
    def predictor(self, predictors: Predictors, task: AskedTask) -> Predictor:
        """Who answers a task, of the model's ways of answering."""

    @abc.abstractmethod
    def decided_by(self, decoding: Any, task: AskedTask) -> Any:
        """What of a `DecodingConfig` decides the answers to a task, for their fingerprint."""

    @abc.abstractmethod
    def estimates(self, asked: AskedExamples, answers: Answers, items: NamedItems, ks: Ks) -> MetricEstimates:
        """The metrics.

        Args:
          asked: what was asked.
          answers: to each of the examples, as the predictor reads them.
          items: of the catalogue.
          ks: cut-offs of hit rate and NDCG.

        Raises:
          ValueError: as the metrics raise it.
        """

    @abc.abstractmethod
    def baselines(self, asked: AskedExamples, source: BaselineSource, ks: Ks) -> dict[str, MetricEstimates]:
        """Metrics of each baseline on the same examples; of what training knows nothing like, none."""

    @abc.abstractmethod
    def main_metric(self, rows: Sequence[Mapping[str, float]]) -> str:
        """The metric that a table of such answers is about.

        Raises:
          ValueError: when no row has it.
        """

    @abc.abstractmethod
    def shown_metrics(self, rows: Sequence[Mapping[str, float]]) -> tuple[str, ...]:
        """The metrics of `rows` that a table shows, in order."""
