"""The end of a run: `results.json`, `report.html`, and the tables on the terminal."""

import logging
from collections.abc import Sequence

from llmrec_jax.evaluation.report.page import write_report
from llmrec_jax.evaluation.results import Results
from llmrec_jax.launch import results
from llmrec_jax.launch.run_folder import RunFolder
from llmrec_jax.launch.stages import StageRecord
from llmrec_jax.training import processes

LOG = logging.getLogger(__name__)


def report(workspace: RunFolder, records: Sequence[StageRecord]) -> None:
    """Writes the files from whatever stages are done, on process 0."""
    processes.from_first(lambda: _report(workspace, records))


def _report(workspace: RunFolder, records: Sequence[StageRecord]) -> None:
    found = results.assemble(workspace, records)
    found.save(workspace.root / 'results.json')
    config = workspace.config_path.read_text()
    write_report(results.report_data(workspace, found, config), workspace.root / 'report.html')
    for line in table(found):
        LOG.info(line)
    LOG.info('results: %s', workspace.root / 'results.json')
    LOG.info('report: %s', workspace.root / 'report.html')


def table(found: Results) -> list[str]:
    """Recall and NDCG of every system on the test users, in plain text."""
    metrics = [f'{kind}@{k}' for k in found.protocol['ks'] for kind in ('recall', 'ndcg')]
    lines = [f'{"test":<20}' + ''.join(f'{metric:>12}' for metric in metrics)]
    for name, numbers in found.systems.get('test', {}).items():
        lines.append(f'{name:<20}' + ''.join(f'{numbers[metric]:>12.4f}' for metric in metrics))
    return lines
