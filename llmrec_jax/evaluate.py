"""Evaluates a trained recipe against its floors and writes `results.json` and `report.html`; trains nothing.

python -m llmrec_jax.evaluate --gin_file=gin_configs/tiger/quickstart.gin --gin.WORKDIR=runs/quickstart
"""

from collections.abc import Sequence

from llmrec_jax.launch import pipeline
from llmrec_jax.launch.reporting import report

MEASURING = ('floors', 'ceiling', 'content', 'evaluate')


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the measuring stages over what is already trained."""
    _, recipe = pipeline.parse(__doc__, arguments)
    with pipeline.errors_as_messages('llmrec_jax.evaluate'):
        report(*pipeline.run_stages(recipe, MEASURING))


if __name__ == '__main__':
    main()
