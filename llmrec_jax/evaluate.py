r"""Evaluates a trained recipe against its floors and writes `results.json` and `report.html`; trains nothing.

    python -m llmrec_jax.evaluate --gin_file=gin_configs/tiger/quickstart.gin --gin.WORKDIR=runs/quickstart
    python -m llmrec_jax.evaluate --gin_file=gin_configs/p5/simulated_shop.gin --gin.WORKDIR=runs/p5 \
        --gin.MIXTURE_OR_TASK_NAME="'p5_simulated_shop_eval'"
    python -m llmrec_jax.evaluate --gin_file=gin_configs/flan_t5/finetune.gin ... --module=my_tasks \
        --task=my_task --checkpoint=runs/my_task/checkpoints/checkpoint_10000

The first ranks items for every user. The second asks every task of a mixture; a killed run goes on where it
was, and finished tasks are not asked again. The third evaluates SeqIO tasks that a module of your own
registers, by their own metrics, with intervals and beside baselines that answer every example alike.

With `--checkpoint=DIR` it evaluates that checkpoint of the recipe's model, wherever and by whichever engine
it was trained; without, the best one of the workdir.
"""

import argparse
import logging
from collections.abc import Sequence

from llmrec_jax.runs import owned

LOG = logging.getLogger(__name__)
PROGRAM = 'llmrec_jax.evaluate'


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the measuring stages over what is already trained, or a module's own tasks."""
    with owned.owning_workdir(PROGRAM, arguments):
        _evaluate(arguments)


def _evaluate(arguments: Sequence[str] | None) -> None:
    from llmrec_jax.inference.task_modules import registered
    from llmrec_jax.runs import command_line
    from llmrec_jax.runs.system import named

    flags, system = command_line.parse(__doc__, arguments, _add_flags)
    with command_line.errors_as_messages(PROGRAM), command_line.owning_workdir(system, PROGRAM, flags):
        if flags.task is not None:
            name = registered(flags.task, flags.module)
            for task, result in system.evaluate_task(system.run, name, flags.split).items():
                for line in result.lines():
                    LOG.info('%s, %s', task, line)
            return
        measuring = named(system, ('evaluate',))
        if not measuring:
            raise ValueError(f'a {system.name} run is evaluated on a task: give its name as --task=NAME')
        system.report(*command_line.run_stages(system, measuring))


def _add_flags(parser: argparse.ArgumentParser) -> None:
    from llmrec_jax.runs import command_line

    command_line.add_checkpoint_flag(parser)
    command_line.add_takeover_flag(parser)
    parser.add_argument(
        '--module',
        action='append',
        default=[],
        help='registers SeqIO tasks when it is imported; may be given several times',
    )
    parser.add_argument('--task', help='one of these tasks or mixtures')
    parser.add_argument('--split', default='validation', help='of these tasks')


if __name__ == '__main__':
    main()
