"""What pre-training is taught: columns of tokens, made of the sources' training histories."""

import numpy as np
from jaxtyping import Int

from llmrec_jax.corpora.splits import Sequences
from llmrec_jax.models.sequential import ITEMS
from llmrec_jax.models.transfer.hierarchical import USER


def whole_histories(train: Sequences, max_items: int) -> dict[str, Sequences]:
    """The newest `max_items + 1` items of each history of two and more, and whose it is (for ZESRec).

    Users are numbered anew, because those of a shorter history predict nothing.
    """
    users = np.flatnonzero(train.lengths > 1)
    counts = np.minimum(train.lengths[users], max_items + 1)
    return {
        ITEMS: _ending_before(train.values + 1, train.offsets[1:][users], counts),
        USER: Sequences(np.arange(len(users)), np.arange(len(users) + 1)),
    }


def _ending_before(
    values: Int[np.ndarray, 'events'], ends: Int[np.ndarray, 'rows'], counts: Int[np.ndarray, 'rows']
) -> Sequences:
    """The `counts` values before each of `ends`."""
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
    return Sequences(values[np.repeat(ends - counts, counts) + within], offsets)
