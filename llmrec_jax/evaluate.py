"""Evaluates a trained recipe against its floors and writes `results.json` and `report.html`; trains nothing.

python -m llmrec_jax.evaluate --gin_file=gin_configs/tiger/quickstart.gin --gin.WORKDIR=runs/quickstart

With `--checkpoint=DIR` it evaluates that checkpoint of the recipe's model, wherever and by whichever engine
it was trained; without, the best one of the workdir.
"""

from collections.abc import Sequence

from llmrec_jax.launch import pipeline
from llmrec_jax.launch.reporting import report


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the measuring stages over what is already trained."""
    flags, recipe = pipeline.parse(__doc__, arguments, pipeline.add_checkpoint_flag, pipeline.KINDS)
    with pipeline.errors_as_messages('llmrec_jax.evaluate'):
        report(*pipeline.run_stages(recipe, pipeline.KINDS[type(recipe)].to_measure, flags.checkpoint))


if __name__ == '__main__':
    main()
