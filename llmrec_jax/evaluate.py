r"""Evaluates a trained recipe against its floors and writes `results.json` and `report.html`; trains nothing.

    python -m llmrec_jax.evaluate --gin_file=gin_configs/tiger/quickstart.gin --gin.WORKDIR=runs/quickstart
    python -m llmrec_jax.evaluate --gin_file=gin_configs/p5/simulated_shop.gin --gin.WORKDIR=runs/p5 \
        --gin.MIXTURE_OR_TASK_NAME="'p5_simulated_shop_eval'"
    python -m llmrec_jax.evaluate --gin_file=gin_configs/flan_t5/finetune.gin ... --module=my_tasks \
        --task=my_task --checkpoint=runs/my_task/checkpoints/checkpoint_10000

The first ranks items for every user. The second asks every task of a mixture; a killed run goes on where it
was, and finished tasks are not asked again. The third evaluates SeqIO tasks that a module of your own
registers, by their own metrics.

With `--checkpoint=DIR` it evaluates that checkpoint of the recipe's model, wherever and by whichever engine
it was trained; without, the best one of the workdir.
"""

import argparse
from collections.abc import Sequence
from typing import Any

from llmrec_jax.decoding.greedy import Greedy
from llmrec_jax.launch import pipeline
from llmrec_jax.launch.fine_tuning import FineTuning
from llmrec_jax.launch.reporting import report
from llmrec_jax.launch.run_folder import RunFolder
from llmrec_jax.launch.task_modules import registered
from llmrec_jax.launch.text_recipe import TextRecipe


def _add_flags(parser: argparse.ArgumentParser) -> None:
    pipeline.add_checkpoint_flag(parser)
    parser.add_argument(
        '--module',
        action='append',
        default=[],
        help='registers SeqIO tasks when it is imported; may be given several times',
    )
    parser.add_argument('--task', help='one of these tasks or mixtures')
    parser.add_argument('--split', default='validation', help='of these tasks')


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the measuring stages over what is already trained, or a module's own tasks."""
    flags, recipe = pipeline.parse(__doc__, arguments, _add_flags, (*pipeline.KINDS, FineTuning))
    with pipeline.errors_as_messages('llmrec_jax.evaluate'):
        if flags.task is None and not isinstance(recipe, FineTuning):
            report(*pipeline.run_stages(recipe, pipeline.KINDS[type(recipe)].to_measure, flags.checkpoint))
        else:
            _evaluate_module(flags, recipe)


def _evaluate_module(flags: argparse.Namespace, recipe: Any) -> None:
    """SeqIO tasks of the user's own."""
    if flags.task is None:
        raise ValueError('a fine-tuned network is evaluated on a task: give its name as --task=NAME')
    if isinstance(recipe, TextRecipe):
        folder = pipeline.KINDS[TextRecipe].workspace(recipe, flags.checkpoint)
        decoder, batch_size = recipe.answering.text, recipe.answering.batch_size
    elif isinstance(recipe, FineTuning):
        if flags.checkpoint is None:
            raise ValueError('name the checkpoint of the fine-tuned network: --checkpoint=DIR')
        folder = RunFolder(recipe, flags.checkpoint)
        decoder = Greedy(max_length=recipe.trainer.feature_lengths['targets'])
        batch_size = recipe.trainer.batch_size // recipe.trainer.microbatches
    else:
        raise ValueError(f'--task={flags.task} is for recipes of texts; {recipe.name} recommends items')
    name = registered(flags.task, flags.module)
    # SeqIO, and with it TensorFlow, is for tasks that a module registers.
    from llmrec_jax.launch.registered_tasks import evaluate_registered

    evaluate_registered(folder, name, flags.split, decoder, batch_size)


if __name__ == '__main__':
    main()
