"""Answers that are items: of the whole catalogue, of candidates, asked about one by one, or listed."""

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
)
from llmrec_jax.evaluation.baselines.item_names import candidate_baselines, catalogue_baselines
from llmrec_jax.evaluation.item_name_metrics import (
    candidates_estimates,
    catalogue_estimates,
    scored_candidates_estimates,
)
from llmrec_jax.evaluation.metric_estimates import MetricEstimates, plain_means
from llmrec_jax.evaluation.report.metric_names import deepest_hit_rate, ranking_metrics

UNCONSTRAINED = 'unconstrained_'


class ItemKind(AnswerKind):
    """An answer that ranks items."""

    def main_metric(self, rows: Sequence[Mapping[str, float]]) -> str:
        """See `AnswerKind.main_metric`."""
        return deepest_hit_rate(rows)

    def shown_metrics(self, rows: Sequence[Mapping[str, float]]) -> tuple[str, ...]:
        """See `AnswerKind.shown_metrics`."""
        return ranking_metrics(rows)


class CatalogueKind(ItemKind):
    """An answer that may name any item of the catalogue."""

    names_items: ClassVar[bool] = True

    def baselines(self, asked: AskedExamples, source: BaselineSource, ks: Ks) -> dict[str, MetricEstimates]:
        """See `AnswerKind.baselines`; under both positions of the seen-items switch."""
        return catalogue_baselines(source.ranking(), source.cases(asked.columns['user']), ks)


class Item(CatalogueKind):
    """The best items by a search over all names, and what beams over all texts would have named."""

    name: ClassVar[str] = 'item'
    label: ClassVar[str] = 'Items of the whole catalogue'

    def predictor(self, predictors: Predictors, task: AskedTask) -> Predictor:
        """See `AnswerKind.predictor`."""
        return predictors.items()

    def decided_by(self, decoding: Any, task: AskedTask) -> Any:
        """See `AnswerKind.decided_by`."""
        return decoding.items, decoding.unconstrained, decoding.seed

    def estimates(self, asked: AskedExamples, answers: Answers, items: NamedItems, ks: Ks) -> MetricEstimates:
        """See `AnswerKind.estimates`; metrics of the beams over all texts have names of their own."""
        targets = _names(items, asked.columns['target'])
        found = [_names(items, answer['items']) for answer in answers]
        estimates = catalogue_estimates(
            targets, found, items.names, ks, [answer['scores'] for answer in answers]
        )
        if 'texts' not in answers[0]:
            return estimates
        written = [items.as_names(answer['texts']) for answer in answers]
        free = catalogue_estimates(targets, written, items.names, ks)
        columns = {f'{UNCONSTRAINED}{name}': column for name, column in free.columns.items()}
        return MetricEstimates({**estimates.columns, **columns}, plain_means)


class ItemList(CatalogueKind):
    """A list of quoted names, of which the first target is the one that is asked for (PALR, section 3)."""

    name: ClassVar[str] = 'item_list'
    label: ClassVar[str] = 'Lists of items'

    def predictor(self, predictors: Predictors, task: AskedTask) -> Predictor:
        """See `AnswerKind.predictor`."""
        return predictors.texts(task.template)

    def decided_by(self, decoding: Any, task: AskedTask) -> Any:
        """See `AnswerKind.decided_by`."""
        return decoding.text_decoder(task.template), decoding.seed

    def estimates(self, asked: AskedExamples, answers: Answers, items: NamedItems, ks: Ks) -> MetricEstimates:
        """See `AnswerKind.estimates`."""
        listed = [items.listed(answer['answer']) for answer in answers]
        return catalogue_estimates(_names(items, asked.columns['target']), listed, items.names, ks)


class ItemOfCandidates(ItemKind):
    """The best of each case's candidates."""

    name: ClassVar[str] = 'item_of_candidates'
    label: ClassVar[str] = 'Items out of the candidates'
    offers_candidates: ClassVar[bool] = True
    names_items: ClassVar[bool] = True

    def predictor(self, predictors: Predictors, task: AskedTask) -> Predictor:
        """See `AnswerKind.predictor`."""
        return predictors.candidates(task.candidates)

    def decided_by(self, decoding: Any, task: AskedTask) -> Any:
        """See `AnswerKind.decided_by`."""
        return decoding.items, decoding.candidates

    def estimates(self, asked: AskedExamples, answers: Answers, items: NamedItems, ks: Ks) -> MetricEstimates:
        """See `AnswerKind.estimates`."""
        return candidates_estimates(
            _names(items, asked.columns['target']),
            [_names(items, answer['items']) for answer in answers],
            [_names(items, offered[offered >= 0]) for offered in asked.candidates],
            ks,
            [answer['scores'] for answer in answers],
        )

    def baselines(self, asked: AskedExamples, source: BaselineSource, ks: Ks) -> dict[str, MetricEstimates]:
        """See `AnswerKind.baselines`."""
        cases = source.cases(asked.columns['user'])
        return candidate_baselines(source.ranking(), cases, asked.candidates.astype(np.int64), ks)


class YesNoRanking(ItemKind):
    """Candidates that are each asked about, ranked by how probable 'yes' is (P5, section 5.6)."""

    name: ClassVar[str] = 'yes_no_ranking'
    label: ClassVar[str] = "Candidates ranked by 'yes'"
    offers_candidates: ClassVar[bool] = True

    def group_size(self, candidates: int | None) -> int:
        """See `AnswerKind.group_size`: all candidates of a case."""
        return candidates

    def predictor(self, predictors: Predictors, task: AskedTask) -> Predictor:
        """See `AnswerKind.predictor`."""
        return predictors.yes_preference()

    def decided_by(self, decoding: Any, task: AskedTask) -> Any:
        """See `AnswerKind.decided_by`; the probability of the first word is the network's alone."""
        return ()

    def estimates(self, asked: AskedExamples, answers: Answers, items: NamedItems, ks: Ks) -> MetricEstimates:
        """See `AnswerKind.estimates`."""
        cases = (-1, asked.group_size)
        scores = np.asarray([answer['preference'] for answer in answers], np.float64).reshape(cases)
        right = asked.columns['answer'].reshape(cases).argmax(axis=1)
        return scored_candidates_estimates(scores, right, ks)

    def baselines(self, asked: AskedExamples, source: BaselineSource, ks: Ks) -> dict[str, MetricEstimates]:
        """See `AnswerKind.baselines`."""
        size = asked.group_size
        offered = asked.columns['target'].reshape(-1, size).astype(np.int64)
        cases = source.cases(asked.columns['user'][::size])
        return candidate_baselines(source.ranking(), cases, offered, ks)


def _names(items: NamedItems, rows: Sequence[int] | Int[np.ndarray, 'items']) -> list[str]:
    return [items.names[row] for row in rows]
