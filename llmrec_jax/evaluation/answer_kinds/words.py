"""Answers in words: ratings, choices and sentences (P5, section 3)."""

import abc
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Int

from llmrec_jax.evaluation.answer_kinds.kind import (
    AnswerKind,
    Answers,
    AskedExamples,
    AskedTask,
    BaselineSource,
    Ks,
    NamedItems,
    Predictor,
    Predictors,
    Scale,
    TrainingAnswers,
)
from llmrec_jax.evaluation.baselines.fitted import (
    FittedBaselines,
    FrequentText,
    RatingBaselines,
    TextBaselines,
)
from llmrec_jax.evaluation.baselines.rating_means import Ratings, rating_baselines
from llmrec_jax.evaluation.metric_estimates import MetricEstimates
from llmrec_jax.evaluation.rating_metrics import expected_rating_estimates, rating_estimates, true_stars
from llmrec_jax.evaluation.text_metrics import choice_estimates, generation_estimates

DEFAULT_SCALE = (1.0, 5.0)


class WordKind(AnswerKind):
    """An answer that is a text of the model's own.

    Attributes:
      shown: the metrics that a table shows; the first is what the task is about.
      most_frequent: what the baseline of the most frequent training text is called.
    """

    in_words: ClassVar[bool] = True
    shown: ClassVar[tuple[str, ...]]
    most_frequent: ClassVar[str] = 'most_frequent_sentence'

    @abc.abstractmethod
    def text_estimates(
        self, targets: Sequence[str], texts: Sequence[str], scale: Scale = DEFAULT_SCALE
    ) -> MetricEstimates:
        """Judges texts alone.

        Args:
          targets: the right answers, as rendered.
          texts: the answers.
          scale: fewest and most stars, where the answer is a rating.

        Raises:
          ValueError: as the kind's metrics raise it.
        """

    def fit_baselines(self, answers: TrainingAnswers) -> FittedBaselines:
        """The baselines of training answers."""
        return TextBaselines(FrequentText.fit(answers.texts, answers.item.tolist()))

    def load_baselines(self, content: Mapping[str, Any]) -> FittedBaselines:
        """The baselines that `as_json` described."""
        return TextBaselines.of_json(content)

    def predictor(self, predictors: Predictors, task: AskedTask) -> Predictor:
        """See `AnswerKind.predictor`."""
        return predictors.texts(task.template)

    def decided_by(self, decoding: Any, task: AskedTask) -> Any:
        """See `AnswerKind.decided_by`."""
        return decoding.text_decoder(task.template), decoding.seed, task.scale

    def estimates(self, asked: AskedExamples, answers: Answers, items: NamedItems, ks: Ks) -> MetricEstimates:
        """See `AnswerKind.estimates`."""
        return self.text_estimates(asked.references, [answer['answer'] for answer in answers])

    def baselines(self, asked: AskedExamples, source: BaselineSource, ks: Ks) -> dict[str, MetricEstimates]:
        """See `AnswerKind.baselines`."""
        fitted = source.fitted()
        if fitted is None:
            return {}
        return self.of_fitted(fitted, asked.references, asked.columns['user'], asked.columns['target'])

    def of_fitted(
        self,
        fitted: FittedBaselines,
        targets: Sequence[str],
        user: Int[np.ndarray, 'asked'],
        item: Int[np.ndarray, 'asked'],
    ) -> dict[str, MetricEstimates]:
        """Metrics of baselines that were fitted for this kind.

        Args:
          fitted: what `fit_baselines` gave.
          targets: the right answers.
          user: row of each example's user.
          item: row of the item that it is about.
        """
        del user
        given = fitted.answers(self.most_frequent, item.tolist())
        return {name: self.text_estimates(targets, texts) for name, texts in given.items()}

    def main_metric(self, rows: Sequence[Mapping[str, float]]) -> str:
        """See `AnswerKind.main_metric`."""
        return self.shown[0]

    def shown_metrics(self, rows: Sequence[Mapping[str, float]]) -> tuple[str, ...]:
        """See `AnswerKind.shown_metrics`."""
        return tuple(metric for metric in self.shown if any(metric in row for row in rows))


class Stars(WordKind):
    """A rating; see `rating_metrics`."""

    name: ClassVar[str] = 'stars'
    label: ClassVar[str] = 'Stars'
    shown: ClassVar = ('rmse', 'mae', 'parse_rate', 'rmse_of_expectation', 'rmse_of_parsed')

    def text_estimates(
        self, targets: Sequence[str], texts: Sequence[str], scale: Scale = DEFAULT_SCALE
    ) -> MetricEstimates:
        """See `WordKind.text_estimates`."""
        return rating_estimates(targets, texts, *scale)

    def fit_baselines(self, answers: TrainingAnswers) -> FittedBaselines:
        """See `WordKind.fit_baselines`."""
        stars = true_stars(answers.texts, *answers.scale)
        ratings = Ratings(answers.user, answers.item, stars, answers.users, answers.items)
        return RatingBaselines(rating_baselines(ratings), answers.scale)

    def load_baselines(self, content: Mapping[str, Any]) -> FittedBaselines:
        """See `WordKind.load_baselines`."""
        return RatingBaselines.of_json(content)

    def predictor(self, predictors: Predictors, task: AskedTask) -> Predictor:
        """See `AnswerKind.predictor`."""
        return predictors.stars(task.template, task.scale)

    def estimates(self, asked: AskedExamples, answers: Answers, items: NamedItems, ks: Ks) -> MetricEstimates:
        """See `AnswerKind.estimates`."""
        expected = np.asarray([answer['expected'] for answer in answers], np.float64)
        texts = [answer['answer'] for answer in answers]
        return expected_rating_estimates(asked.references, texts, expected, *asked.scale)

    def of_fitted(
        self,
        fitted: FittedBaselines,
        targets: Sequence[str],
        user: Int[np.ndarray, 'asked'],
        item: Int[np.ndarray, 'asked'],
    ) -> dict[str, MetricEstimates]:
        """See `WordKind.of_fitted`."""
        return fitted.estimates(targets, user, item)


class Choice(WordKind):
    """One of two words; see `text_metrics`.

    Attributes:
      words: the positive one, and the other.
    """

    shown: ClassVar = ('accuracy', 'auc', 'parse_rate')
    most_frequent: ClassVar[str] = 'majority'
    words: ClassVar[tuple[str, str]]

    def text_estimates(
        self, targets: Sequence[str], texts: Sequence[str], scale: Scale = DEFAULT_SCALE
    ) -> MetricEstimates:
        """See `WordKind.text_estimates`."""
        return choice_estimates(targets, texts, self.words)

    def predictor(self, predictors: Predictors, task: AskedTask) -> Predictor:
        """See `AnswerKind.predictor`."""
        return predictors.choice(task.template, self.words)

    def estimates(self, asked: AskedExamples, answers: Answers, items: NamedItems, ks: Ks) -> MetricEstimates:
        """See `AnswerKind.estimates`."""
        preference = np.asarray([answer['preference'] for answer in answers], np.float64)
        texts = [answer['answer'] for answer in answers]
        return choice_estimates(asked.references, texts, self.words, preference)


class YesNo(Choice):
    """'yes' or 'no'."""

    name: ClassVar[str] = 'yes_no'
    label: ClassVar[str] = 'Yes or no'
    words: ClassVar = ('yes', 'no')


class Like(Choice):
    """'like' or 'dislike'."""

    name: ClassVar[str] = 'like'
    label: ClassVar[str] = 'Like or dislike'
    words: ClassVar = ('like', 'dislike')


class Sentence(WordKind):
    """A sentence; see `text_metrics`."""

    name: ClassVar[str] = 'sentence'
    label: ClassVar[str] = 'Sentences'
    shown: ClassVar = ('bleu4', 'bleu2', 'rouge1', 'rouge2', 'rougeL', 'exact_match')

    def text_estimates(
        self, targets: Sequence[str], texts: Sequence[str], scale: Scale = DEFAULT_SCALE
    ) -> MetricEstimates:
        """See `WordKind.text_estimates`."""
        return generation_estimates(targets, texts)
