"""Runs a whole recipe, stage by stage.

    python -m llmrec_jax.run --gin_file=gin_configs/tiger/quickstart.gin --gin.WORKDIR=runs/quickstart

Finished stages are reused; a stage whose configuration or inputs changed runs again, and what depends on it.
"""

import argparse
import logging
from collections.abc import Sequence

from llmrec_jax.launch import pipeline, results
from llmrec_jax.launch.workspace import write_bytes

LOG = logging.getLogger(__name__)


def _add_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--stages', metavar='NAMES', help='comma-separated stages to run, e.g. corpus,floors; all by default'
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the recipe and leaves `results.json` and `report.html` in its workdir."""
    flags, recipe = pipeline.parse(__doc__, arguments, _add_flags)
    try:
        workspace, records = pipeline.run_stages(recipe, pipeline.split_names(flags.stages))
        found = results.assemble(workspace, records)
        found.save(workspace.root / 'results.json')
        from llmrec_jax.evaluation.report.page import render

        data = results.report_data(workspace, found, pipeline.config_text(workspace.root))
        write_bytes(workspace.root / 'report.html', render(data).encode())
    except pipeline.USER_ERRORS as error:
        pipeline.exit_with_message('llmrec_jax.run', error)
    LOG.info('results: %s', workspace.root / 'results.json')
    LOG.info('report: %s', workspace.root / 'report.html')
    for line in summary_lines(found):
        LOG.info(line)


def summary_lines(found) -> list[str]:
    """The test table in plain text."""
    systems = found.systems.get('test', {})
    metrics = [f'{kind}@{k}' for k in found.protocol['ks'] for kind in ('recall', 'ndcg')]
    lines = [f'{"test":<20}' + ''.join(f'{metric:>12}' for metric in metrics)]
    for name, numbers in systems.items():
        lines.append(f'{name:<20}' + ''.join(f'{numbers[metric]:>12.4f}' for metric in metrics))
    return lines


if __name__ == '__main__':
    main()
