"""A target among items that the user never had."""

from collections.abc import Mapping

from llmrec_jax.prompts.array_ops import Array
from llmrec_jax.prompts.draws import Draws

CANDIDATE_FIELDS = frozenset({'candidate'})


def with_negatives(target: Array, own: Array, tables: Mapping[str, Array], draws: Draws, count: int) -> Array:
    """int64 [count]: `target` at a random place among negatives drawn outside `own` without replacement.

    Args:
      target: the item to be found.
      own: the items that are no negatives, ascending, each once; the target among them.
      tables: the catalogue is as large as the table 'item'.
      draws: of the example.
      count: how many candidates.
    """
    negatives = draws.sample_outside('negatives', tables['item'].shape[0], own, count - 1)
    place = draws.integer('place', count)
    return draws.ops.concat([negatives[:place], draws.ops.integers([target]), negatives[place:]])
