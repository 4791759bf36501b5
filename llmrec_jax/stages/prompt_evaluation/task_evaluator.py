"""One checkpoint asked all examples of a task, with what was answered and judged before left as it is."""

import dataclasses
import json
import logging
import pathlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tqdm
from jaxtyping import Int

from llmrec_jax.evaluation.answer_kinds.kind import Predictor
from llmrec_jax.evaluation.bootstrap import Bootstrap
from llmrec_jax.evaluation.task_results import TaskResult
from llmrec_jax.files import read_text, text_written_whole, write_json
from llmrec_jax.runs.fingerprint import fingerprint
from llmrec_jax.stages.prompt_evaluation.baselines import Baselines
from llmrec_jax.stages.prompt_evaluation.eval_batches import EvalBatches, drawn_rows
from llmrec_jax.stages.prompt_evaluation.evaluation_task import EvaluationTask
from llmrec_jax.stages.prompt_evaluation.journal import Journal
from llmrec_jax.stages.prompt_evaluation.placed_model import on_every_process
from llmrec_jax.stages.prompt_evaluation.predictors import ModelPredictors
from llmrec_jax.training import processes

LOG = logging.getLogger(__name__)
SECONDS_BETWEEN_LINES = 10.0
PREDICTIONS, RESULT, UNDER_WAY = 'predictions.jsonl', 'result.json', 'answers_so_far.jsonl'


@dataclasses.dataclass(frozen=True, eq=False)
class TaskEvaluator:
    """What a network is evaluated with.

    Attributes:
      predictors: the network and its ways of answering.
      identity: hash of the network and of what it reads and writes; see `params_fingerprint`.
      baselines: judged on the same examples.
      user_ids: what the users are called, by their row in the corpus.
      input_length: tokens of a full input.
      directory: receives a folder a task: `predictions.jsonl`, a line an example, and `result.json`.
      bootstrap: gives the intervals of the metrics.
    """

    predictors: ModelPredictors
    identity: str
    baselines: Baselines
    user_ids: Sequence[str]
    input_length: int
    directory: pathlib.Path
    bootstrap: Bootstrap

    def result(self, task: EvaluationTask) -> TaskResult:
        """The task's result: of now, or of an earlier run whose task, network and settings were the same.

        A killed run goes on behind the last batch that it had answered. Every process of a run takes part.
        """
        decoding, kind = self.predictors.decoding, task.kind
        rows = drawn_rows(len(task.examples), decoding.max_examples, decoding.seed, task.group_size)
        names = self.predictors.catalogue.names if kind.names_items else ()
        settings = kind.decided_by(decoding, task)
        asked = fingerprint(self.identity, task.fingerprint, settings, rows, self.input_length, names)
        judged_by = fingerprint(asked, decoding.ks, self.bootstrap, self.baselines.fingerprint(task))
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
        return json.loads(read_text(folder / RESULT))

    def _answer(self, task: EvaluationTask, rows: Int[np.ndarray, 'asked'], asked: str) -> float:
        """Leaves the predictions, and returns how many seconds they took."""
        decoding = self.predictors.decoding
        batches = EvalBatches(
            task.examples, rows, decoding.batch_size, self.input_length, decoding.length_buckets
        )
        folder = self.directory / task.name
        journal = None
        if processes.is_first():
            # Predictions of an earlier checkpoint are dropped: without a result they count for nobody.
            (folder / RESULT).unlink(missing_ok=True)
            journal = Journal(folder / UNDER_WAY, fingerprint(asked, decoding.batch_size))
        done = processes.from_first(lambda: journal.done)
        started = time.monotonic()
        progress = _Progress(task.name, len(rows), min(done * decoding.batch_size, len(rows)))
        for answers in self._answers(task, batches, done):
            if journal is not None:
                journal.add(answers)
            progress.add(len(answers))
        if journal is not None:
            journal.close()
            self._write_predictions(folder / PREDICTIONS, task, journal)
        return time.monotonic() - started

    def _answers(
        self, task: EvaluationTask, batches: EvalBatches, done: int
    ) -> Iterator[list[dict[str, Any]]]:
        """The answers of each batch after the first `done`; the next batch is under way while one is read."""
        predictor = task.kind.predictor(self.predictors, task)
        waiting = None
        for batch in batches.after(done):
            answered = predictor.ask(batch)
            if waiting is not None:
                yield _read(predictor, *waiting)
            waiting = batch.rows, answered
        if waiting is not None:
            yield _read(predictor, *waiting)

    def _write_predictions(self, path: pathlib.Path, task: EvaluationTask, journal: Journal) -> None:
        """The answers in the order of the rows, each with what was asked and what was to be answered."""
        vocabulary = self.predictors.network.vocabulary
        users = task.examples.scalars('user')
        answers: list[Mapping[str, Any]] = sorted(journal.answers(), key=lambda answer: answer['id'])
        with text_written_whole(path) as file:
            for answer in answers:
                row = answer['id']
                tokens = task.examples[row]['inputs']
                line = {
                    'id': row,
                    'user': self.user_ids[users[row]],
                    'input': vocabulary.decode(tokens.tolist()),
                    'target': task.references[row],
                    **answer,
                }
                file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + '\n')

    def _judge(
        self, task: EvaluationTask, rows: Int[np.ndarray, 'asked'], asked: str, judged_by: str, seconds: float
    ) -> dict[str, Any]:
        folder = self.directory / task.name
        answers, ks = load_predictions(folder), self.predictors.decoding.ks
        examples = task.asked(rows)
        baselines = task.kind.baselines(examples, self.baselines.of(task), ks)
        estimates = task.kind.estimates(examples, answers, self.predictors.catalogue, ks)
        result = TaskResult(
            task=task.name,
            family=task.facts['family'],
            group=task.facts['group'],
            template=task.template,
            held_out=task.facts['held_out'],
            answer=task.kind.name,
            measured=estimates.measured(self.bootstrap),
            floors={name: baseline.measured(self.bootstrap) for name, baseline in baselines.items()},
            seconds=seconds,
        ).as_dict()
        write_json(folder / RESULT, {'asked': asked, 'judged': judged_by, 'result': result})
        (folder / UNDER_WAY).unlink(missing_ok=True)
        return result


def load_predictions(folder: pathlib.Path) -> list[dict[str, Any]]:
    """The answers to a task, in the order of its examples; see `TaskEvaluator.directory`."""
    with (folder / PREDICTIONS).open(encoding='utf-8') as file:
        return [json.loads(line) for line in file]


class _Progress:
    """A line every few seconds on how far a task is."""

    def __init__(self, task: str, total: int, done: int):
        self._task, self._total, self._done, self._first = task, total, done, done
        self._started = self._shown = time.monotonic()
        already = f', {done} of them answered before' if done else ''
        LOG.info('%s: %d examples%s', task, total, already)

    def add(self, answered: int) -> None:
        self._done += answered
        now = time.monotonic()
        if now - self._shown >= SECONDS_BETWEEN_LINES:
            self._shown = now
            rate = (self._done - self._first) / (now - self._started)
            left = tqdm.tqdm.format_interval((self._total - self._done) / rate)
            LOG.info('%s: %d of %d, %.1f a second, %s left', self._task, self._done, self._total, rate, left)


def _read(predictor: Predictor, rows: Int[np.ndarray, 'rows'], answered: Any) -> list[dict[str, Any]]:
    here = on_every_process(answered)
    if not processes.is_first():
        return [{}] * len(rows)
    return [{'id': int(row), **predictor.read(here, place)} for place, row in enumerate(rows)]
