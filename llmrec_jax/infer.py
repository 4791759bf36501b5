"""Recommends items to users given as JSON lines, or answers texts, with a trained recipe.

    python -m llmrec_jax.infer --gin_file=gin_configs/tiger/quickstart.gin --gin.WORKDIR=runs/quickstart \
        --input=histories.jsonl --output=recommendations.jsonl

A line of input is `{"user_id": "...", "history": ["<item id>", ...]}`, oldest item first; a line of output is
`{"user_id": "...", "items": [{"item_id": "...", "title": "...", "score": -1.5}, ...]}`, best item first.

A system that is fine-tuned on texts (gin_configs/flan_t5/finetune.gin) is asked `{"inputs": "..."}`, the text
as its task gives it, and answers `{"inputs": "...", "prediction": "...", "score": -0.2}`; the score is the
log-probability of the answer.

Input and output are UTF-8, and the input may be gzip. All lines are looked at before any is answered: a wrong
one ends it, unless `--errors=skip` leaves it out.
"""

import argparse
import contextlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from llmrec_jax.runs import owned

if TYPE_CHECKING:
    from llmrec_jax.inference.histories import AskedHistories
    from llmrec_jax.inference.texts import AskedTexts
    from llmrec_jax.runs.system import System

PROGRAM = 'llmrec_jax.infer'
STOP, SKIP = 'stop', 'skip'
DEFAULT_K = 10


def main(arguments: Sequence[str] | None = None) -> None:
    """Answers every line of the input."""
    with owned.owning_output(PROGRAM, arguments):
        _infer(arguments)


def _infer(arguments: Sequence[str] | None) -> None:
    from llmrec_jax.inference.asked_files import STANDARD, AskedFile, WrongLines, written
    from llmrec_jax.runs import command_line
    from llmrec_jax.training import processes

    flags, system = command_line.parse(__doc__, arguments, _add_flags)
    with command_line.errors_as_messages(PROGRAM), command_line.owning_output(PROGRAM, flags):
        if flags.input == STANDARD and processes.count() > 1:
            raise ValueError(
                'many processes cannot share standard input: give --input=FILE, which all can read'
            )
        asked = _asked(system, flags)
        with AskedFile.opened(flags.input) as lines, contextlib.ExitStack() as stack:
            if flags.errors == STOP:
                lines.check(asked.parse)
            if processes.is_first():
                output = stack.enter_context(written(flags.output))
            else:
                # All processes answer, and one writes.
                output = stack.enter_context(open(os.devnull, 'wb'))
            wrong = WrongLines()
            if flags.errors == SKIP and processes.is_first():
                wrong = stack.enter_context(WrongLines.beside(flags.output))
            for answer in asked.answers(wrong.left_out(lines.lines(asked.parse))):
                output.write(f'{answer}\n'.encode())
            wrong.check()


def _asked(system: 'System', flags: argparse.Namespace) -> 'AskedHistories | AskedTexts':
    """How the lines are read and answered: as histories where the system ranks a catalogue, else as texts.

    Raises:
      ValueError: when a flag is wrong or has no effect, or the system answers neither.
    """
    from llmrec_jax.inference.histories import AskedHistories
    from llmrec_jax.inference.texts import AskedTexts
    from llmrec_jax.stages.corpus import CATALOGUE

    k = DEFAULT_K if flags.k is None else flags.k
    if k < 1:
        raise ValueError(f'--k={k} must be at least 1')
    run = system.run
    recommender = system.recommender(run)
    if recommender is not None:
        return AskedHistories(recommender, run[CATALOGUE], k, flags.seen_items or system.seen_items)
    for name in ('k', 'seen_items'):
        if getattr(flags, name) is not None:
            raise ValueError(f'--{name} is of systems that recommend items, and {system.name} writes texts')
    writer = system.text_writer(run)
    if writer is None:
        raise ValueError(
            f'these gin files configure a {type(system).__name__}, which ranks no catalogue for a history, '
            'and answers no text'
        )
    return AskedTexts(writer)


def _add_flags(parser: argparse.ArgumentParser) -> None:
    from llmrec_jax.evaluation.protocol import SEEN_ITEMS
    from llmrec_jax.runs import command_line

    command_line.add_checkpoint_flag(parser)
    command_line.add_takeover_flag(parser)
    add = parser.add_argument
    add('--input', default='-', metavar='FILE', help='JSON lines, plain or gzip; - for standard input')
    add('--output', default='-', metavar='FILE', help='JSON lines; - for standard output')
    add('--k', type=int, help=f'items a user, {DEFAULT_K} by default; of a beam search at most its width')
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
