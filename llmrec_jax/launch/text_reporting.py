"""The end of a text-to-text run: the report on its mixture, and its tables on the terminal."""

import logging
from collections.abc import Sequence

from llmrec_jax.evaluation.id_leak import id_leak
from llmrec_jax.evaluation.report.leaks import Leaks
from llmrec_jax.evaluation.report.mixture_report import MixtureReport
from llmrec_jax.files import write_text
from llmrec_jax.launch.mixtures.mixture_results import MixtureResults
from llmrec_jax.launch.mixtures.mixture_run import SPLIT, results_path
from llmrec_jax.launch.stages import StageRecord
from llmrec_jax.launch.text_workspace import TextWorkspace

LOG = logging.getLogger(__name__)


def report_mixture(workspace: TextWorkspace, records: Sequence[StageRecord]) -> None:
    """Writes `report.html` and `report.md` beside the mixture's results, where it was evaluated.

    The page of the mixture that was evaluated last lies in the workdir itself too, as any recipe's does.
    """
    if 'evaluate' not in {record.name for record in records}:
        return
    path = results_path(workspace)
    report = mixture_report(workspace, MixtureResults.load(path), records)
    page, text = report.page(), report.text()
    for place in (path.with_name('report.html'), workspace.root / 'report.html'):
        write_text(place, page)
    write_text(path.with_name('report.md'), text)
    for line in text.splitlines():
        LOG.info(line)
    for name in (path.name, 'report.html', 'report.md'):
        LOG.info('%s', path.with_name(name))


def mixture_report(
    workspace: TextWorkspace, results: MixtureResults, records: Sequence[StageRecord]
) -> MixtureReport:
    """What is shown of a mixture's results.

    Args:
      workspace: of the run.
      results: of the mixture.
      records: of the finished stages.
    """
    summaries = {record.name: record.summary for record in records}
    corpus, tasks = summaries['corpus'], summaries['tasks']
    limit = results.answering['max_examples']
    asked = (
        'all questions of each task' if limit is None else f'{limit} questions of each task, drawn by seed'
    )
    return MixtureReport(
        title=f'{results.system.upper()}: {results.mixture}',
        subtitle=(
            f'{corpus["name"]}: {corpus["users"]} users, {corpus["items"]} items, {corpus["events"]} events; '
            f'{asked}; {results.checkpoint}'
        ),
        systems={results.system: results.tasks},
        leaks=Leaks(
            naming=tasks['naming'],
            known_to_leak=tasks['names_leak'],
            id_leak=id_leak(workspace.item_names, workspace.splits.train, getattr(workspace.splits, SPLIT)),
            shown_validation=tasks['overlap']['validation'],
            shown_test=tasks['overlap']['test'],
            split=tasks['review_split'],
        ),
        left_out=tasks['left_out'],
        about={
            'Asked': {'questions': asked, **results.answering},
            'Tasks': {
                'examples': tasks['examples'],
                'cut': tasks['cut'],
                'seconds to answer': {task.task: round(task.seconds, 1) for task in results.tasks},
            },
            'Training': summaries.get('train', {}),
            'Seconds of stages': {record.name: record.seconds for record in records},
            'Made with': results.environment,
        },
        config=workspace.config_path.read_text(),
    )
