"""From what the model wrote to lists of items: read, held to the candidates, filled up, and counted."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.corpora.splits import RankingCases
from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.candidate_choice import accuracy_by_position, choice_accuracy, choices_of_lists
from llmrec_jax.evaluation.metric_estimates import Means, MetricEstimates
from llmrec_jax.evaluation.per_user import PerUserResults
from llmrec_jax.evaluation.recommendations import ABSENT, Recommendations, from_ranked_lists
from llmrec_jax.evaluation.serving import Serving, timed_requests
from llmrec_jax.prompts.palr.answers import ReadAnswer, TitleIndex, filled_up, read_answer
from llmrec_jax.prompts.palr.forms import RECOMMEND, RECOMMEND_DRAWN, RECOMMEND_RETRIEVAL
from llmrec_jax.runs.artifact import Artifact
from llmrec_jax.runs.record import facts_of
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.stage import Phase
from llmrec_jax.stages.corpus import SPLITS, CaseDraw
from llmrec_jax.stages.prompt_evaluation.eval_batches import EvalBatches, drawn_rows
from llmrec_jax.stages.prompt_evaluation.evaluate import ANSWERED, SPLIT, EvaluatePrompts
from llmrec_jax.stages.prompt_evaluation.evaluation_task import candidates_of
from llmrec_jax.stages.prompt_evaluation.item_names import ItemNames
from llmrec_jax.stages.prompt_evaluation.task_evaluator import load_predictions
from llmrec_jax.stages.prompt_evaluation.text_predictors import Answered, TextPredictor
from llmrec_jax.stages.prompt_tasks import ITEM_NAMES, TASKS, vocabulary
from llmrec_jax.stages.rank import ListStage, lists
from llmrec_jax.systems.palr.candidates import CANDIDATES
from tasks.palr import RETRIEVER, PalrTasks

WRITTEN, WITHOUT_CANDIDATES, RANDOM = 'written', 'without_candidates', 'random_candidates'
EVALUATE_FACTS = facts_of('evaluate')


@dataclasses.dataclass(frozen=True)
class EvaluateWriting(EvaluatePrompts):
    """Has the model write its lists, and takes the time that users wait for them.

    Attributes:
      timed_requests: batches that serving times are taken of.
    """

    timed_requests: int = 3

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        return {**super().run(run), 'serving': {self.system: self._serving_times(run)}}

    def _serving_times(self, run: Run) -> dict[str, Any]:
        """Until the first token is there, and until the list is; every process of a run takes part.

        The first token is timed by a decoder that stops behind it, which reads the prompt like the whole one.
        """
        decoding, network = self.decoding, self.evaluator(run).predictors.network
        examples = run[TASKS].examples(self.tasks.evaluated(RECOMMEND_RETRIEVAL), SPLIT)
        asked = drawn_rows(len(examples), self.timed_requests * decoding.batch_size, decoding.seed)
        length = self.tasks.feature_lengths['inputs']
        batches = list(
            EvalBatches(examples, asked, decoding.batch_size, length, decoding.length_buckets).after(0)
        )

        def timed(decoder: Any) -> Any:
            predictor = TextPredictor(network, decoder, decoding.seed)

            def request(number: int) -> Answered:
                return predictor.ask(batches[number % len(batches)])

            return timed_requests(
                request, self.timed_requests, users=decoding.batch_size, warm_up=len(batches)
            )

        one_token = dataclasses.replace(decoding.text, max_length=1)
        return Serving(timed(one_token), timed(decoding.text)).as_dict()


@dataclasses.dataclass(frozen=True)
class ReadLists(ListStage):
    """Reads the lists that the model wrote, and fills them up from the candidates.

    It leaves lists of `system`, filled up; `<system>_written`, what the model wrote alone;
    `<system>_without_candidates`, what it wrote where none were shown; and `random_candidates`, the order in
    which they were shown. It tells rates, the accuracy of the choice, and that by position.

    Attributes:
      system: what the trained system is called.
      tasks: of the run.
      draw: see `ListStage`.
      list_length: see `ListStage`.
      seen_items: the protocol.
      position_bins: parts of the candidate list that accuracy by position is told for.
      seed: of the intervals.
    """

    system: str
    tasks: PalrTasks
    draw: CaseDraw
    list_length: int
    seen_items: str
    position_bins: int = 5
    seed: int = 0
    name: ClassVar[str] = 'lists'
    phase: ClassVar[Phase] = 'evaluate'
    of_trained: ClassVar[bool] = True

    @property
    def reads(self) -> Sequence[Artifact[Any]]:
        """See `Stage.reads`."""
        of_tasks = (TASKS, ITEM_NAMES, vocabulary(self.tasks.vocabulary))
        return (SPLITS, CANDIDATES, *of_tasks, ANSWERED, EVALUATE_FACTS)

    @property
    def asked(self) -> Sequence[tuple[str, str]]:
        """See `ListStage`."""
        return [('test', self.seen_items)]

    def run(self, run: Run) -> dict[str, Any]:
        """See `Stage.run`."""
        cases = self.draw.cases(run[SPLITS], 'test')
        systems, told = self._read(run, cases)
        taken = run[EVALUATE_FACTS]['seconds']
        choosing, free = (taken[self.tasks.evaluated(group)] for group in (RECOMMEND_RETRIEVAL, RECOMMEND))
        seconds = {name: choosing for name in systems}
        seconds |= {f'{self.system}_{WITHOUT_CANDIDATES}': free, RANDOM: run[CANDIDATES].seconds[RETRIEVER]}
        found = PerUserResults(cases.user, cases.target, systems, seconds)
        run.put(lists(self.name, 'test', self.seen_items), found)
        return told

    def _read(self, run: Run, cases: RankingCases) -> tuple[Mapping[str, Recommendations], dict[str, Any]]:
        index = ItemNames(run[ITEM_NAMES], run[vocabulary(self.tasks.vocabulary)]).titles
        bootstrap, length = Bootstrap(seed=self.seed), self.list_length
        shown, drawn = (_shown(run, self.tasks, group) for group in (RECOMMEND_RETRIEVAL, RECOMMEND_DRAWN))
        retrieved = run[CANDIDATES].systems[RETRIEVER].items
        chosen = _held(_texts(run, self.tasks, RECOMMEND_RETRIEVAL), index, shown)
        texts = _texts(run, self.tasks, RECOMMEND)
        free = [read_answer(text, index) for text in texts]
        of_drawn = {
            'choice_of_drawn': _texts(run, self.tasks, RECOMMEND_DRAWN),
            'choice_of_drawn_without_candidates': texts,
        }
        filled = [list_of(answer, row, length) for answer, row in zip(chosen, retrieved, strict=True)]
        back_fill = np.asarray([count for _, count in filled]) / length
        systems = {
            self.system: as_recommendations([listed for listed, _ in filled], cases, length),
            f'{self.system}_{WRITTEN}': as_recommendations([one.items for one in chosen], cases, length),
            f'{self.system}_{WITHOUT_CANDIDATES}': as_recommendations(
                [one.items for one in free], cases, length
            ),
            RANDOM: as_recommendations(shown, cases, length),
        }
        told = {
            'with_candidates': _rates(chosen, bootstrap, back_fill_rate=back_fill),
            'without_candidates': _rates(free, bootstrap),
            **_choices(
                chosen, _held(texts, index, shown), shown, retrieved, cases, self.position_bins, bootstrap
            ),
            # A good retriever shows what a model that knows the law would name unasked; these are others.
            **{
                name: _choice(_held(written, index, drawn), drawn, cases, bootstrap)
                for name, written in of_drawn.items()
            },
        }
        return systems, told


def list_of(
    answer: ReadAnswer, retrieved: Int[np.ndarray, 'candidates'], length: int
) -> tuple[list[int], int]:
    """The list that an answer makes, filled up in the retriever's order; and how much of it is filled up.

    Args:
      answer: as it was read.
      retrieved: rows of the candidates, best first, padded with -1.
      length: of the list.
    """
    return filled_up(answer.items, [item for item in retrieved.tolist() if item != ABSENT], length)


def as_recommendations(
    rows: Sequence[Sequence[int] | np.ndarray], cases: RankingCases, length: int
) -> Recommendations:
    """Written lists, whose scores say their order alone.

    Args:
      rows: of items, best first.
      cases: whose they are.
      length: items of a list at most.
    """
    items = np.full((len(rows), length), ABSENT, np.int64)
    for row, listed in enumerate(rows):
        items[row, : len(listed[:length])] = listed[:length]
    scores = np.where(items == ABSENT, -np.inf, -np.arange(length, dtype=np.float64))
    return from_ranked_lists(items, scores, cases.target)


def _shown(run: Run, tasks: PalrTasks, group: str) -> list[Int[np.ndarray, 'candidates']]:
    """The candidates of each example, in their places."""
    candidates = candidates_of(run[TASKS].examples(tasks.evaluated(group), SPLIT))
    return [row[row != ABSENT].astype(np.int64) for row in candidates]


def _texts(run: Run, tasks: PalrTasks, group: str) -> list[str]:
    """What was written, in the order of the examples, which is that of the cases."""
    return [line['answer'] for line in load_predictions(run.path(ANSWERED) / tasks.evaluated(group))]


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

    return MetricEstimates(columns, of_means).measured(bootstrap).as_dict()


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
