"""Evaluates a mixture of the small shop in a process of its own, or in one of many."""

import argparse
import pathlib
import sys

from llmrec_jax.launch import pipeline
from llmrec_jax.launch.mixtures.mixture_run import evaluate_mixture
from llmrec_jax.launch.text_workspace import TextWorkspace
from llmrec_jax.runs import distributed, shutdown
from tests.launch.mixtures import small_shop


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument('workdir', type=pathlib.Path)
    parser.add_argument('mixture')
    distributed.add_arguments(parser)
    flags = parser.parse_args()
    pipeline.log_to_stderr()
    distributed.initialize(flags)
    with shutdown.errors_as_messages('examine'):
        recipe = small_shop.recipe(flags.workdir, mixture=flags.mixture)
        evaluate_mixture(TextWorkspace(recipe, str(flags.workdir / 'checkpoints' / 'checkpoint_1')))
    print(sorted({'tensorflow', 'seqio', 't5x'} & sys.modules.keys()))


if __name__ == '__main__':
    main()
