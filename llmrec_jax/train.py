r"""Trains with the embedded engine: a recipe's model, or any model on a materialised task.

    python -m llmrec_jax.train --gin_file=gin_configs/tiger/quickstart.gin --gin.WORKDIR=runs/quickstart
    python -m llmrec_jax.train --gin_file=gin_configs/flan_t5/finetune.gin --gin.WORKDIR=runs/my_task \
        --gin.EXAMPLES=data/my_task/train --gin.INITIAL_CHECKPOINT=flan_t5_base/checkpoint_1184000

A recipe's stages before training are run where they are not done yet. A killed run goes on from its newest
checkpoint. Where the examples are materialised, this process imports no TensorFlow.
"""

import argparse
import logging
from collections.abc import Sequence

from llmrec_jax.runs import owned

LOG = logging.getLogger(__name__)
PROGRAM = 'llmrec_jax.train'


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the stages up to training."""
    with owned.owning_workdir(PROGRAM, arguments):
        _train(arguments)


def _train(arguments: Sequence[str] | None) -> None:
    from llmrec_jax.runs import command_line
    from llmrec_jax.runs.system import named
    from llmrec_jax.runs.trained import trained_checkpoint

    def add_flags(parser: argparse.ArgumentParser) -> None:
        command_line.add_go_on_flag(parser)
        command_line.add_takeover_flag(parser)

    flags, system = command_line.parse(__doc__, arguments, add_flags)
    with command_line.errors_as_messages(PROGRAM), command_line.owning_workdir(system, PROGRAM, flags):
        wanted = named(system, ('prepare', 'train'))
        run, _ = command_line.run_stages(system, wanted, go_on=flags.go_on)
        LOG.info('best checkpoint: %s', run.root / trained_checkpoint(run))


if __name__ == '__main__':
    main()
