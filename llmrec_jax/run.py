"""Runs a whole recipe, stage by stage.

    python -m llmrec_jax.run --gin_file=gin_configs/tiger/quickstart.gin --gin.WORKDIR=runs/quickstart

Finished stages are reused; a stage whose configuration or inputs changed runs again, and what depends on it.
"""

import argparse
from collections.abc import Sequence

from llmrec_jax.runs import owned

PROGRAM = 'llmrec_jax.run'


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the recipe and leaves `results.json` and `report.html` in its workdir."""
    with owned.owning_workdir(PROGRAM, arguments):
        _run(arguments)


def _run(arguments: Sequence[str] | None) -> None:
    from llmrec_jax.runs import command_line

    def add_flags(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            '--stages',
            metavar='NAMES',
            help='comma-separated stages to run, e.g. corpus,floors; all by default',
        )
        command_line.add_go_on_flag(parser)
        command_line.add_takeover_flag(parser)

    flags, system = command_line.parse(__doc__, arguments, add_flags)
    with command_line.errors_as_messages(PROGRAM), command_line.owning_workdir(system, PROGRAM, flags):
        wanted = command_line.split_names(flags.stages)
        system.report(*command_line.run_stages(system, wanted, go_on=flags.go_on))


if __name__ == '__main__':
    main()
