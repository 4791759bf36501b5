"""Evaluates a mixture of the small shop in a process of its own, or in one of many."""

import argparse
import pathlib
import sys

from llmrec_jax.runs import command_line, distributed, shutdown
from tests.stages.prompt_evaluation import small_shop


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument('workdir', type=pathlib.Path)
    parser.add_argument('mixture')
    distributed.add_arguments(parser)
    flags = parser.parse_args()
    command_line.log_to_stderr()
    distributed.initialize(flags)
    with shutdown.errors_as_messages('evaluate_small_shop'):
        system = small_shop.recipe(flags.workdir, mixture=flags.mixture)
        system.evaluate().run(system.run)
    print(sorted({'tensorflow', 'seqio', 't5x'} & sys.modules.keys()))


if __name__ == '__main__':
    main()
