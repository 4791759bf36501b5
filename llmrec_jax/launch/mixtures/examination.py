"""One checkpoint asked all questions of a task, with what was answered and judged before left as it is."""

import dataclasses
import json
import logging
import pathlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tqdm
from jaxtyping import Int

from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.task_results import TaskResult
from llmrec_jax.files import text_written_whole, write_json
from llmrec_jax.launch.mixtures.evaluation_task import (
    ITEM,
    ITEM_LIST,
    ITEM_OF_CANDIDATES,
    EvaluationTask,
)
from llmrec_jax.launch.mixtures.floors import Floors
from llmrec_jax.launch.mixtures.journal import Journal
from llmrec_jax.launch.mixtures.judging import judged
from llmrec_jax.launch.mixtures.network import on_every_process
from llmrec_jax.launch.mixtures.questions import QuestionBatches, drawn_rows
from llmrec_jax.launch.mixtures.respondents import Respondents
from llmrec_jax.runs.fingerprint import fingerprint
from llmrec_jax.training import processes

LOG = logging.getLogger(__name__)
SECONDS_BETWEEN_LINES = 10.0
PREDICTIONS, RESULT, UNDER_WAY = 'predictions.jsonl', 'result.json', 'answers_so_far.jsonl'


@dataclasses.dataclass(frozen=True, eq=False)
class Examination:
    """What a network is examined with.

    Attributes:
      respondents: the network and its ways of answering.
      identity: hash of the network and of what it reads and writes; see `params_fingerprint`.
      floors: judged on the same examples.
      input_length: tokens of a full input.
      directory: receives a folder a task: `predictions.jsonl`, a line a question, and `result.json`.
      bootstrap: gives the intervals of the metrics.
    """

    respondents: Respondents
    identity: str
    floors: Floors
    input_length: int
    directory: pathlib.Path
    bootstrap: Bootstrap

    def result(self, task: EvaluationTask) -> TaskResult:
        """The task's result: of now, or of an earlier run whose task, network and settings were the same.

        A killed run goes on behind the last batch that it had answered. Every process of a run takes part.
        """
        answering = self.respondents.answering
        rows = drawn_rows(len(task.examples), answering.max_examples, answering.seed, task.group_size)
        names = (
            self.respondents.catalogue.names if task.answer in (ITEM, ITEM_OF_CANDIDATES, ITEM_LIST) else ()
        )
        asked = fingerprint(
            self.identity, task.fingerprint, self.respondents.settings(task), rows, self.input_length, names
        )
        judged_by = fingerprint(asked, answering.ks, self.bootstrap, self.floors.fingerprint(task))
        kept = processes.from_first(lambda: self._kept(task))
        if kept.get('judged') == judged_by:
            LOG.info('%s: done before, reused', task.name)
            return TaskResult.from_dict(kept['result'])
        again = kept.get('asked') != asked
        seconds = self._answer(task, rows, asked) if again else kept['result']['seconds']
        made = processes.from_first(lambda: self._judge(task, rows, asked, judged_by, seconds))
        return TaskResult.from_dict(made)

    def _kept(self, task: EvaluationTask) -> dict[str, Any]:
        """What an earlier run left of a finished task."""
        folder = self.directory / task.name
        if not (folder / RESULT).is_file() or not (folder / PREDICTIONS).is_file():
            return {}
        return json.loads((folder / RESULT).read_text())

    def _answer(self, task: EvaluationTask, rows: Int[np.ndarray, 'asked'], asked: str) -> float:
        """Leaves the predictions, and returns how many seconds they took."""
        answering = self.respondents.answering
        batches = QuestionBatches(
            task.examples, rows, answering.batch_size, self.input_length, answering.length_buckets
        )
        folder = self.directory / task.name
        journal = None
        if processes.is_first():
            # Without its result, what an earlier network answered is no longer anybody's.
            (folder / RESULT).unlink(missing_ok=True)
            journal = Journal(folder / UNDER_WAY, fingerprint(asked, answering.batch_size))
        done = processes.from_first(lambda: journal.done)
        started = time.monotonic()
        progress = _Progress(task.name, len(rows), min(done * answering.batch_size, len(rows)))
        for answers in self._answers(task, batches, done):
            if journal is not None:
                journal.add(answers)
            progress.add(len(answers))
        if journal is not None:
            journal.close()
            _write_predictions(folder / PREDICTIONS, task, journal)
        return time.monotonic() - started

    def _answers(
        self, task: EvaluationTask, batches: QuestionBatches, done: int
    ) -> Iterator[list[dict[str, Any]]]:
        """The answers of each batch after the first `done`; the next batch is under way while one is read."""
        respondent = self.respondents.of(task)
        waiting = None
        for questions in batches.after(done):
            answered = respondent.ask(questions)
            if waiting is not None:
                yield _read(respondent, *waiting)
            waiting = questions.rows, answered
        if waiting is not None:
            yield _read(respondent, *waiting)

    def _judge(
        self, task: EvaluationTask, rows: Int[np.ndarray, 'asked'], asked: str, judged_by: str, seconds: float
    ) -> dict[str, Any]:
        folder = self.directory / task.name
        with (folder / PREDICTIONS).open(encoding='utf-8') as file:
            answers = [json.loads(line) for line in file]
        answering = self.respondents.answering
        floors = self.floors.tallies(task, rows, answering.ks)
        tally = judged(task, rows, answers, self.respondents.catalogue, answering.ks)
        result = TaskResult(
            task=task.name,
            family=task.facts['family'],
            group=task.facts['group'],
            template=task.template,
            held_out=task.facts['held_out'],
            answer=task.answer,
            measured=tally.measured(self.bootstrap),
            floors={name: floor.measured(self.bootstrap) for name, floor in floors.items()},
            seconds=seconds,
        ).as_dict()
        write_json(folder / RESULT, {'asked': asked, 'judged': judged_by, 'result': result})
        (folder / UNDER_WAY).unlink(missing_ok=True)
        return result


class _Progress:
    """A line every few seconds on how far a task is."""

    def __init__(self, task: str, total: int, done: int):
        self._task, self._total, self._done, self._first = task, total, done, done
        self._started = self._shown = time.monotonic()
        already = f', {done} of them answered before' if done else ''
        LOG.info('%s: %d questions%s', task, total, already)

    def add(self, answered: int) -> None:
        self._done += answered
        now = time.monotonic()
        if now - self._shown >= SECONDS_BETWEEN_LINES:
            self._shown = now
            rate = (self._done - self._first) / (now - self._started)
            left = tqdm.tqdm.format_interval((self._total - self._done) / rate)
            LOG.info('%s: %d of %d, %.1f a second, %s left', self._task, self._done, self._total, rate, left)


def _read(respondent: Any, rows: Int[np.ndarray, 'rows'], answered: Any) -> list[dict[str, Any]]:
    here = on_every_process(answered)
    if not processes.is_first():
        return [{}] * len(rows)
    return [{'row': int(row), **respondent.read(here, place)} for place, row in enumerate(rows)]


def _write_predictions(path: pathlib.Path, task: EvaluationTask, journal: Journal) -> None:
    """The answers in the order of the rows, each with what was to be answered."""
    answers: list[Mapping[str, Any]] = sorted(journal.answers(), key=lambda answer: answer['row'])
    with text_written_whole(path) as file:
        for answer in answers:
            line = {**answer, 'reference': task.references[answer['row']]}
            file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + '\n')
