"""Learns the semantic IDs of a recipe's corpus, and shows how good they are.

    python -m llmrec_jax.semantic_ids --gin_file=gin_configs/tiger/quickstart.gin --gin.WORKDIR=runs/quick

`--compare` also makes the codes that each of the four quantizers gives, and prints one table of them.
"""

from llmrec_jax.systems.tiger.semantic_id_launcher import main

if __name__ == '__main__':
    main()
