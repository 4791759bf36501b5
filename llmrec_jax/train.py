"""Trains a recipe's model with the embedded engine, after whatever it needs that is not done yet.

    python -m llmrec_jax.train --gin_file=gin_configs/tiger/quickstart.gin --gin.WORKDIR=runs/quickstart

A killed run goes on from its newest checkpoint. Where the stages before training are done, this process
imports no TensorFlow.
"""

import logging
from collections.abc import Sequence

from llmrec_jax.launch import pipeline

LOG = logging.getLogger(__name__)
NEEDED = ('corpus', 'item_vectors', 'semantic_ids', 'tasks', 'train')


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the stages up to training."""
    _, recipe = pipeline.parse(__doc__, arguments)
    with pipeline.errors_as_messages('llmrec_jax.train'):
        workspace, _ = pipeline.run_stages(recipe, NEEDED)
        LOG.info('best checkpoint: %s', workspace.best_checkpoint)


if __name__ == '__main__':
    main()
