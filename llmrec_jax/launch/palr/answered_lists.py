"""From what the model wrote to lists of items: read, held to the candidates, filled up, and counted."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.candidate_choice import accuracy_by_position, choice_accuracy, choices_of_lists
from llmrec_jax.evaluation.measured import Means, Tally
from llmrec_jax.evaluation.recommendations import ABSENT, Recommendations, from_ranked_lists
from llmrec_jax.launch.mixtures.catalogue import Catalogue
from llmrec_jax.launch.mixtures.examination import PREDICTIONS
from llmrec_jax.launch.mixtures.item_answers import candidates_of
from llmrec_jax.launch.palr.workspace import PalrWorkspace
from llmrec_jax.prompts.palr.answers import ReadAnswer, TitleIndex, filled_up, read_answer
from llmrec_jax.prompts.palr.templates import RECOMMEND, RECOMMEND_DRAWN, RECOMMEND_RETRIEVAL

WRITTEN, WITHOUT_CANDIDATES, RANDOM = 'written', 'without_candidates', 'random_candidates'
SPLIT = 'test'


@dataclasses.dataclass(frozen=True)
class AnsweredLists:
    """What came of the answers.

    Attributes:
      systems: name of a system to its lists: PALR's own, filled up; `<name>_written`, what it wrote alone;
        `<name>_without_candidates`, what it wrote where none were shown; and `random_candidates`, the order
        in which they were shown.
      summary: rates, accuracy of the choice and by position, as JSON.
    """

    systems: Mapping[str, Recommendations]
    summary: dict[str, Any]


def answered_lists(workspace: PalrWorkspace) -> AnsweredLists:
    """Reads the answers of a run that was evaluated."""
    recipe, cases = workspace.recipe, workspace.cases
    index = Catalogue(workspace.item_names, workspace.vocabulary).titles
    bootstrap = Bootstrap(seed=recipe.seed)
    choosing = recipe.tasks.evaluated(RECOMMEND_RETRIEVAL)
    drawing = recipe.tasks.evaluated(RECOMMEND_DRAWN)
    shown, drawn = _shown(workspace, choosing), _shown(workspace, drawing)
    retrieved = workspace.candidates.items
    chosen = _held(_texts(workspace, choosing), index, shown)
    texts = _texts(workspace, recipe.tasks.evaluated(RECOMMEND))
    free = [read_answer(text, index) for text in texts]
    of_drawn = {
        'choice_of_drawn': _texts(workspace, drawing),
        'choice_of_drawn_without_candidates': texts,
    }
    length = recipe.list_length
    filled = [
        filled_up(answer.items, [item for item in row.tolist() if item != ABSENT], length)
        for answer, row in zip(chosen, retrieved, strict=True)
    ]
    name = recipe.name
    return AnsweredLists(
        systems={
            name: _ranked([listed for listed, _ in filled], cases, length),
            f'{name}_{WRITTEN}': _ranked([answer.items for answer in chosen], cases, length),
            f'{name}_{WITHOUT_CANDIDATES}': _ranked([answer.items for answer in free], cases, length),
            RANDOM: _ranked(shown, cases, length),
        },
        summary={
            'with_candidates': _rates(
                chosen, bootstrap, back_fill_rate=np.asarray([count for _, count in filled]) / length
            ),
            'without_candidates': _rates(free, bootstrap),
            **_choices(
                chosen, _held(texts, index, shown), shown, retrieved, cases, recipe.position_bins, bootstrap
            ),
            # A good retriever shows what a model that knows the law would name unasked; these are others.
            **{
                name: _choice(_held(written, index, drawn), drawn, cases, bootstrap)
                for name, written in of_drawn.items()
            },
        },
    )


def _shown(workspace: PalrWorkspace, task: str) -> list[Int[np.ndarray, 'candidates']]:
    """The candidates of each question, in their places."""
    candidates = candidates_of(workspace.examples(task, SPLIT))
    return [row[row != ABSENT].astype(np.int64) for row in candidates]


def _held(
    texts: Sequence[str], index: TitleIndex, shown: Sequence[Int[np.ndarray, 'candidates']]
) -> list[ReadAnswer]:
    """What was written, held to the candidates."""
    return [read_answer(text, index, allowed.tolist()) for text, allowed in zip(texts, shown, strict=True)]


def _choice(
    answers: Sequence[ReadAnswer],
    shown: Sequence[Int[np.ndarray, 'candidates']],
    cases: RankingCases,
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    named = [answer.items for answer in answers]
    return choice_accuracy(choices_of_lists(shown, named, cases.target), bootstrap)


def _texts(workspace: PalrWorkspace, task: str) -> list[str]:
    """What was written, in the order of the examples, which is that of the cases."""
    path = workspace.root / 'evaluation' / 'tasks' / task / PREDICTIONS
    with path.open(encoding='utf-8') as file:
        return [json.loads(line)['text'] for line in file]


def _ranked(lists: Sequence[Sequence[int] | np.ndarray], cases: RankingCases, length: int) -> Recommendations:
    items = np.full((len(lists), length), ABSENT, np.int64)
    for row, listed in enumerate(lists):
        items[row, : len(listed[:length])] = listed[:length]
    scores = np.where(items == ABSENT, -np.inf, -np.arange(length, dtype=np.float64))
    return from_ranked_lists(items, scores, cases.target)


def _rates(
    answers: Sequence[ReadAnswer], bootstrap: Bootstrap, **others: Float[np.ndarray, 'cases']
) -> dict[str, Any]:
    """Shares of written titles that name nothing allowed or name it again, and of answers without any item.

    Args:
      answers: as they were read.
      bootstrap: gives the intervals.
      **others: further rates of each case.
    """
    columns = {
        name: np.asarray([getattr(answer, name) for answer in answers], np.float64)
        for name in ('written', 'invalid', 'repeated')
    }
    columns['empty'] = np.asarray([not answer.items for answer in answers], np.float64)
    columns |= others

    def of_means(means: Means) -> dict[str, np.ndarray]:
        written = np.where(means['written'] > 0, means['written'], np.nan)
        return {
            'titles_written': means['written'],
            'invalid_title_rate': means['invalid'] / written,
            'repeated_title_rate': means['repeated'] / written,
            'empty_answer_rate': means['empty'],
            **{name: means[name] for name in others},
        }

    return Tally(columns, of_means).measured(bootstrap).as_dict()


def _choices(
    answers: Sequence[ReadAnswer],
    unseeing: Sequence[ReadAnswer],
    shown: Sequence[Int[np.ndarray, 'candidates']],
    retrieved: Int[np.ndarray, 'cases candidates'],
    cases: RankingCases,
    bins: int,
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    named = [answer.items for answer in answers]
    choices = choices_of_lists(shown, named, cases.target)
    as_many = [row[: max(len(one), 1)].tolist() for row, one in zip(retrieved, named)]
    return {
        'choice': choice_accuracy(choices, bootstrap),
        # What is above chance here comes of the history; what the choice has beyond, of the candidates.
        'choice_without_candidates': _choice(unseeing, shown, cases, bootstrap),
        # As many of each case as were named, so that both have one chance; and its first choice in any case.
        'choice_of_the_retriever': choice_accuracy(choices_of_lists(shown, as_many, cases.target), bootstrap),
        'by_position': accuracy_by_position(choices, bins, bootstrap),
    }
