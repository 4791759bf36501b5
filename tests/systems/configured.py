"""Systems as the launchers configure and run them."""

from collections.abc import Collection, Sequence

from llmrec_jax.runs import command_line
from llmrec_jax.runs.run import Run
from llmrec_jax.runs.system import System, named


def configured(arguments: Sequence[str]) -> System:
    """The system of these arguments."""
    return command_line.parse('', arguments)[1]


def run_phases(arguments: Sequence[str], phases: Collection[str]) -> tuple[System, Run]:
    """The system and its workdir, with the stages of some phases done and reported."""
    system = configured(arguments)
    run, records = command_line.run_stages(system, named(system, phases))
    system.report(run, records)
    return system, run
