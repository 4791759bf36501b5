"""From the answers to a task to its metrics."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from llmrec_jax.evaluation.item_name_metrics import (
    candidates_tally,
    catalogue_tally,
    scored_candidates_tally,
)
from llmrec_jax.evaluation.measured import Tally, plain_means
from llmrec_jax.evaluation.rating_metrics import expected_rating_tally
from llmrec_jax.evaluation.text_answers import CHOICES, text_tally
from llmrec_jax.launch.mixtures.catalogue import Catalogue
from llmrec_jax.launch.mixtures.evaluation_task import (
    ITEM,
    ITEM_LIST,
    ITEM_OF_CANDIDATES,
    STARS,
    YES_NO_RANKING,
    EvaluationTask,
)
from llmrec_jax.launch.mixtures.item_answers import candidates_of
from llmrec_jax.prompts.palr.answers import written_titles

UNCONSTRAINED = 'unconstrained_'


def judged(
    task: EvaluationTask,
    rows: Int[np.ndarray, 'asked'],
    answers: Sequence[Mapping[str, Any]],
    catalogue: Catalogue,
    ks: Sequence[int],
) -> Tally:
    """The metrics of a task's kind of answer.

    Args:
      task: with the references.
      rows: which of its rows were asked.
      answers: to each of them, as a `Respondent` reads them.
      catalogue: the items' names.
      ks: cut-offs of hit rate and NDCG.

    Raises:
      ValueError: as the metrics raise it.
    """
    if task.answer == YES_NO_RANKING:
        shape = (-1, task.group_size)
        scores = np.asarray([answer['preference'] for answer in answers], np.float64).reshape(shape)
        right = task.examples.scalars('answer')[rows].reshape(shape)
        return scored_candidates_tally(scores, right.argmax(axis=1), ks)
    if task.answer == ITEM:
        return _found(task, rows, answers, catalogue, ks)
    if task.answer == ITEM_LIST:
        index = catalogue.titles
        listed = [
            [_called(catalogue, index.find(title), title) for title in written_titles(answer['text'])]
            for answer in answers
        ]
        targets = _names(catalogue, task.examples.scalars('target')[rows])
        return catalogue_tally(targets, listed, catalogue.names, ks)
    if task.answer == ITEM_OF_CANDIDATES:
        offered = candidates_of(task.examples)[rows]
        names = [_names(catalogue, items[items >= 0]) for items in offered]
        return candidates_tally(
            _names(catalogue, task.examples.scalars('target')[rows]),
            [_names(catalogue, answer['items']) for answer in answers],
            names,
            ks,
            [answer['scores'] for answer in answers],
        )
    scores = None
    if task.answer in CHOICES:
        scores = np.asarray([answer['preference'] for answer in answers], np.float64)
    targets = [task.references[row] for row in rows]
    texts = [answer['text'] for answer in answers]
    if task.answer == STARS:
        expected = np.asarray([answer['expected'] for answer in answers], np.float64)
        return expected_rating_tally(targets, texts, expected, *task.scale)
    return text_tally(task.answer, targets, texts, scores=scores)


def _found(
    task: EvaluationTask,
    rows: Int[np.ndarray, 'asked'],
    answers: Sequence[Mapping[str, Any]],
    catalogue: Catalogue,
    ks: Sequence[int],
) -> Tally:
    """Metrics of items of the full catalogue, and under names of their own those of beams over all texts."""
    targets = _names(catalogue, task.examples.scalars('target')[rows])
    found = [_names(catalogue, answer['items']) for answer in answers]
    scores = [answer['scores'] for answer in answers]
    tally = catalogue_tally(targets, found, catalogue.names, ks, scores)
    if 'texts' not in answers[0]:
        return tally
    written = [catalogue.as_names(answer['texts']) for answer in answers]
    free = catalogue_tally(targets, written, catalogue.names, ks)
    columns = {f'{UNCONSTRAINED}{name}': column for name, column in free.columns.items()}
    return Tally({**tally.columns, **columns}, plain_means)


def _called(catalogue: Catalogue, item: int | None, title: str) -> str:
    return title if item is None else catalogue.names[item]


def _names(catalogue: Catalogue, items: Sequence[int] | Int[np.ndarray, 'items']) -> list[str]:
    return [catalogue.names[item] for item in items]
