"""The end of a run that answers prompts: the report on its mixture, and its tables on the terminal."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence

from llmrec_jax.evaluation.id_leak import id_leak
from llmrec_jax.evaluation.report.leaks import Leaks
from llmrec_jax.evaluation.report.mixture_report import MixtureReport
from llmrec_jax.evaluation.report.system_names import system_label
from llmrec_jax.files import read_text, write_text
from llmrec_jax.runs.record import StageRecord
from llmrec_jax.runs.run import CONFIG, Run
from llmrec_jax.stages.corpus import SPLITS
from llmrec_jax.stages.prompt_evaluation.evaluate import SPLIT, MixtureResults, mixture_results
from llmrec_jax.stages.prompt_tasks import ITEM_NAMES, TASKS
from llmrec_jax.training import processes

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class PromptReport:
    """What is said of the mixture, or the task, that was evaluated last.

    Attributes:
      mixture: its name.
    """

    mixture: str

    def write(self, run: Run, records: Sequence[StageRecord]) -> None:
        """Writes `report.html` and `report.md` beside the mixture's results, where it was evaluated.

        The page of a whole mixture lies in the workdir itself too, as any system's does; that of a single
        task does not take its place.

        Args:
          run: the workdir.
          records: of the stages that are done.
        """
        done = {record.name: record for record in records}
        if 'evaluate' in done:
            processes.from_first(lambda: self._write(run, done))

    def _write(self, run: Run, done: Mapping[str, StageRecord]) -> None:
        results = run[mixture_results(self.mixture)]
        path = run.path(mixture_results(self.mixture))
        report = self.of(run, results, done)
        page, text = report.page(), report.text()
        write_text(path.with_name('report.html'), page)
        if self.mixture in run[TASKS].mixtures:
            write_text(run.root / 'report.html', page)
        write_text(path.with_name('report.md'), text)
        for line in text.splitlines():
            LOG.info(line)
        for name in (path.name, 'report.html', 'report.md'):
            LOG.info('%s', path.with_name(name))

    def of(self, run: Run, results: MixtureResults, done: Mapping[str, StageRecord]) -> MixtureReport:
        """What is shown of a mixture's results.

        Args:
          run: the workdir.
          results: of the mixture.
          done: records of the finished stages by name.
        """
        facts = {name: record.facts for name, record in done.items()}
        corpus, tasks, splits = facts['corpus'], facts['tasks'], run[SPLITS]
        limit = results.decoding['max_examples']
        asked = (
            'all examples of each task' if limit is None else f'{limit} examples of each task, drawn by seed'
        )
        return MixtureReport(
            title=f'{system_label(results.system)}: {results.mixture}',
            subtitle=(
                f'{corpus["name"]}: {corpus["users"]} users, {corpus["items"]} items, {corpus["events"]} '
                f'events; split by {results.split["split_rule"].replace("_", " ")}; {asked}; '
                f'{results.checkpoint}'
            ),
            systems={results.system: results.tasks},
            leaks=Leaks(
                naming=tasks['naming'],
                known_to_leak=tasks['names_leak'],
                id_leak=id_leak(run[ITEM_NAMES], splits.train, getattr(splits, SPLIT)),
                shown_validation=tasks['overlap']['validation'],
                shown_test=tasks['overlap']['test'],
                split=tasks['review_split'],
            ),
            left_out=tasks['left_out'],
            ceiling=_ceiling(facts['ceiling']) if 'ceiling' in facts else {},
            about={
                'Split': corpus.get('split', results.split),
                'Asked': {'examples': asked, **results.decoding},
                'Tasks': {
                    'examples': tasks['examples'],
                    'cut': tasks['cut'],
                    'seconds to answer': {task.task: round(task.seconds, 1) for task in results.tasks},
                },
                'Training': facts.get('train', {}),
                'Seconds of stages': {name: record.seconds for name, record in done.items()},
                'Made with': results.environment,
            },
            config=read_text(run.root / CONFIG),
        )


def _ceiling(told: Mapping[str, Mapping[str, Mapping[str, float]]]) -> dict[str, float]:
    """What no system can exceed on average over all test users, and what the law itself hit there."""
    of_split = told[SPLIT]
    rows = {'no system can expect more than': 'expected', 'the law itself reached': 'attained_by_the_law'}
    return {
        f'{called}, {metric.replace("recall", "HR").replace("ndcg", "NDCG")}': value
        for called, name in rows.items()
        for metric, value in of_split[name].items()
        if isinstance(value, float) and metric.startswith(('recall', 'ndcg'))
    }
