"""Recommends items to users given as JSON lines, with a trained recipe.

    python -m llmrec_jax.infer --gin_file=gin_configs/tiger/quickstart.gin --gin.WORKDIR=runs/quickstart \
        --input=histories.jsonl --output=recommendations.jsonl

A line of input is `{"user_id": "...", "history": ["<item id>", ...]}`, oldest item first; a line of output is
`{"user_id": "...", "items": [{"item_id": "...", "title": "...", "score": -1.5}, ...]}`, best item first.
"""

import argparse
import contextlib
import sys
from collections.abc import Iterator, Sequence
from typing import TextIO

from llmrec_jax import files
from llmrec_jax.evaluation.protocol import SEEN_ITEMS
from llmrec_jax.inference.histories import recommend_lines
from llmrec_jax.runs import command_line
from llmrec_jax.stages.corpus import CATALOGUE
from llmrec_jax.training import processes


def _add_flags(parser: argparse.ArgumentParser) -> None:
    command_line.add_checkpoint_flag(parser)
    parser.add_argument('--input', default='-', metavar='FILE', help='JSON lines; - for standard input')
    parser.add_argument('--output', default='-', metavar='FILE', help='JSON lines; - for standard output')
    parser.add_argument('--k', type=int, default=10, help='items a user; of a beam search at most its width')
    parser.add_argument('--seen_items', choices=SEEN_ITEMS, help="the recipe's own by default")


def main(arguments: Sequence[str] | None = None) -> None:
    """Answers every line of the input."""
    flags, system = command_line.parse(__doc__, arguments, _add_flags)
    with command_line.errors_as_messages('llmrec_jax.infer'):
        if flags.k < 1:
            raise ValueError(f'--k={flags.k} must be at least 1')
        if flags.input == '-' and processes.count() > 1:
            raise ValueError(
                'many processes cannot share standard input: give --input=FILE, which all can read'
            )
        run = system.run
        recommender = system.recommender(run)
        if recommender is None:
            raise ValueError(
                f'these gin files configure a {type(system).__name__}, which ranks no catalogue for a history'
            )
        seen_items = flags.seen_items or system.seen_items
        with _reading(flags.input) as lines, _writing(flags.output) as output:
            for answer in recommend_lines(recommender, run[CATALOGUE], lines, flags.k, seen_items):
                if processes.is_first():
                    output.write(answer + '\n')


@contextlib.contextmanager
def _reading(path: str) -> Iterator[TextIO]:
    if path == '-':
        yield sys.stdin
    else:
        with open(path, encoding='utf-8') as file:
            yield file


@contextlib.contextmanager
def _writing(path: str) -> Iterator[TextIO]:
    """Standard output, or a file that appears only when every line was answered."""
    if path == '-' or not processes.is_first():
        yield sys.stdout
        return
    with files.text_written_whole(path) as file:
        yield file


if __name__ == '__main__':
    main()
