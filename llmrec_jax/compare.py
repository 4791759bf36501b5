"""Compares the systems of finished runs over one corpus: one page, and its numbers beside it.

    python -m llmrec_jax.compare runs/tiger runs/sasrec runs/sasrec_1 --output=comparison.html

Runs that differ in nothing but seeds are put together. Systems are compared user by user, with bootstrap
intervals, against a reference; what they cost stands beside. Runs of other corpora, splits or protocols are
refused, by what differs.
"""

import argparse
import os
import pathlib
import sys
from collections.abc import Sequence

from llmrec_jax import files
from llmrec_jax.comparison.comparison import Comparison, compare
from llmrec_jax.comparison.finished_run import read_runs
from llmrec_jax.comparison.page import render
from llmrec_jax.evaluation.protocol import SPLITS


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the page and the JSON file, and returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('runs', nargs='+', metavar='WORKDIR', help='workdirs of runs that are evaluated')
    parser.add_argument(
        '--output',
        default='comparison.html',
        type=pathlib.Path,
        help='the page; the same name ending in .json gets the numbers',
    )
    parser.add_argument('--metric', default='ndcg@10', help='recall, ndcg or mrr at a cut-off of the runs')
    parser.add_argument('--split', default='test', choices=SPLITS, help='whose items were predicted')
    parser.add_argument(
        '--reference',
        metavar='NAME',
        help='what all are held against: a system, or a run; by default the best floor',
    )
    flags = parser.parse_args(arguments)
    try:
        if flags.output.suffix != '.html':
            raise ValueError(f'--output={flags.output} must end in .html; the numbers go beside it, in .json')
        runs = read_runs(flags.runs, flags.split)
        found = compare(runs, split=flags.split, metric=flags.metric, reference=flags.reference)
        files.write_text(flags.output, render(found))
        files.write_json(flags.output.with_suffix('.json'), found.as_dict())
    except (ValueError, OSError) as error:
        if os.environ.get('LLMREC_JAX_TRACEBACK'):
            raise
        print(f'llmrec_jax.compare: {error}', file=sys.stderr)
        return 1
    print(
        '\n'.join([*lines(found), f'page: {flags.output}', f'numbers: {flags.output.with_suffix(".json")}'])
    )
    return 0


def lines(found: Comparison) -> list[str]:
    """The comparison in plain text, best first."""
    told = []
    for position, measured in found.systems.items():
        told.append(f'{found.metric} on the {found.split} split, seen items {position}:')
        for one in measured:
            if found.metric in one.metrics:
                spread = f' +- {one.deviations[found.metric]:.4f}' if one.deviations else ''
                against = f' {one.difference.difference:+.4f}' if one.difference else ''
                told.append(f'  {one.name:<32} {one.metrics[found.metric]:.4f}{spread}{against}')
    return told


if __name__ == '__main__':
    sys.exit(main())
