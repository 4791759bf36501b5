"""Learns the semantic IDs of a recipe's corpus, and shows how good they are.

    python -m llmrec_jax.semantic_ids --gin_file=gin_configs/tiger/quickstart.gin --gin.WORKDIR=runs/quick

`--compare` also makes the codes that each of the four quantizers gives, and prints one table of them.
"""

from collections.abc import Sequence

from llmrec_jax.runs import owned


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the stages up to the code table."""
    with owned.owning_workdir('llmrec_jax.semantic_ids', arguments):
        from llmrec_jax.systems.tiger import semantic_id_launcher

        semantic_id_launcher.main(arguments)


if __name__ == '__main__':
    main()
