r"""Trains with the embedded engine: a recipe's model, or any model on a materialised task.

    python -m llmrec_jax.train --gin_file=gin_configs/tiger/quickstart.gin --gin.WORKDIR=runs/quickstart
    python -m llmrec_jax.train --gin_file=gin_configs/flan_t5/finetune.gin --gin.WORKDIR=runs/my_task \
        --gin.EXAMPLES=data/my_task/train --gin.INITIAL_CHECKPOINT=flan_t5_base/checkpoint_1184000

A recipe's stages before training are run where they are not done yet. A killed run goes on from its newest
checkpoint. Where the examples are materialised, this process imports no TensorFlow.
"""

import logging
import pathlib
from collections.abc import Sequence

from llmrec_jax.launch import pipeline
from llmrec_jax.launch.fine_tuning import FineTuning, fine_tune

LOG = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the stages up to training, or fine-tunes, as the gin files say."""
    _, recipe = pipeline.parse(__doc__, arguments, kinds=(*pipeline.KINDS, FineTuning))
    with pipeline.errors_as_messages('llmrec_jax.train'):
        if isinstance(recipe, FineTuning):
            pipeline.write_config(pathlib.Path(recipe.workdir) / 'config.gin')
            result = fine_tune(recipe)
            LOG.info('best checkpoint: %s', result.best_checkpoint or result.checkpoint)
            return
        workspace, _ = pipeline.run_stages(recipe, pipeline.KINDS[type(recipe)].to_train)
        LOG.info('best checkpoint: %s', workspace.best_checkpoint)


if __name__ == '__main__':
    main()
