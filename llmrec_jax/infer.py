"""Recommends items to users given as JSON lines, with a trained recipe.

    python -m llmrec_jax.infer --gin_file=gin_configs/tiger/quickstart.gin --gin.WORKDIR=runs/quickstart \
        --input=histories.jsonl --output=recommendations.jsonl

A line of input is `{"user_id": "...", "history": ["<item id>", ...]}`, oldest item first; a line of output is
`{"user_id": "...", "items": [{"item_id": "...", "title": "...", "score": -1.5}, ...]}`, best item first. Both
are UTF-8, and the input may be gzip. All lines are looked at before any is answered: a wrong one ends it,
unless `--errors=skip` leaves it out.
"""

import argparse
import contextlib
import os
from collections.abc import Sequence

from llmrec_jax.runs import owned

PROGRAM = 'llmrec_jax.infer'
STOP, SKIP = 'stop', 'skip'


def main(arguments: Sequence[str] | None = None) -> None:
    """Answers every line of the input."""
    with owned.owning_output(PROGRAM, arguments):
        _infer(arguments)


def _infer(arguments: Sequence[str] | None) -> None:
    from llmrec_jax.inference.histories import recommend
    from llmrec_jax.inference.history_files import STANDARD, HistoryFile, WrongLines, written
    from llmrec_jax.runs import command_line
    from llmrec_jax.stages.corpus import CATALOGUE
    from llmrec_jax.training import processes

    flags, system = command_line.parse(__doc__, arguments, _add_flags)
    with command_line.errors_as_messages(PROGRAM), command_line.owning_output(PROGRAM, flags):
        if flags.k < 1:
            raise ValueError(f'--k={flags.k} must be at least 1')
        if flags.input == STANDARD and processes.count() > 1:
            raise ValueError(
                'many processes cannot share standard input: give --input=FILE, which all can read'
            )
        run = system.run
        recommender = system.recommender(run)
        if recommender is None:
            raise ValueError(
                f'these gin files configure a {type(system).__name__}, which ranks no catalogue for a history'
            )
        shown = run[CATALOGUE]
        row_of = {item_id: row for row, item_id in enumerate(shown.item_id)}
        with HistoryFile.opened(flags.input) as histories, contextlib.ExitStack() as stack:
            if flags.errors == STOP:
                histories.check(row_of)
            if processes.is_first():
                output = stack.enter_context(written(flags.output))
            else:
                # All processes answer, and one writes.
                output = stack.enter_context(open(os.devnull, 'wb'))
            wrong = WrongLines()
            if flags.errors == SKIP and processes.is_first():
                wrong = stack.enter_context(WrongLines.beside(flags.output))
            asked = wrong.left_out(histories.lines(row_of))
            seen_items = flags.seen_items or system.seen_items
            for answer in recommend(recommender, shown, asked, flags.k, seen_items):
                output.write(f'{answer}\n'.encode())
            wrong.check()


def _add_flags(parser: argparse.ArgumentParser) -> None:
    from llmrec_jax.evaluation.protocol import SEEN_ITEMS
    from llmrec_jax.runs import command_line

    command_line.add_checkpoint_flag(parser)
    command_line.add_takeover_flag(parser)
    add = parser.add_argument
    add('--input', default='-', metavar='FILE', help='JSON lines, plain or gzip; - for standard input')
    add('--output', default='-', metavar='FILE', help='JSON lines; - for standard output')
    add('--k', type=int, default=10, help='items a user; of a beam search at most its width')
    add('--seen_items', choices=SEEN_ITEMS, help="the recipe's own by default")
    add(
        '--errors',
        choices=(STOP, SKIP),
        default=STOP,
        help='at a wrong line, stop before any is answered; or skip it: it is then written, with what is '
        'wrong, to <output>.errors.jsonl, or to the log where the output is standard',
    )


if __name__ == '__main__':
    main()
