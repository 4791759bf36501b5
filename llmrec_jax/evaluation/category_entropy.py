"""How varied lists are: the entropy of the categories of their items (TIGER, section 4.3)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.evaluation.recommendations import ABSENT


def category_labels(categories: Sequence[tuple[str, ...]], depth: int) -> Int[np.ndarray, 'items']:
    """A number for the category of each item.

    Args:
      categories: path of each item from the root; items without one count as one category together.
      depth: of the category in the path, 0 for the root; a path that ends before gives its end.
    """
    named = [path[: depth + 1] for path in categories]
    number = {path: row for row, path in enumerate(dict.fromkeys(named))}
    return np.array([number[path] for path in named], np.int64)


def category_entropy(
    items: Int[np.ndarray, 'cases listed'], labels: Int[np.ndarray, 'items'], k: int
) -> Float[np.ndarray, 'cases']:
    """Entropy, in bits, of the categories of the first `k` items of each list; 0 of an empty list."""
    listed = items[:, :k]
    here = listed != ABSENT
    counts = np.zeros((len(items), int(labels.max(initial=0)) + 1))
    rows = np.broadcast_to(np.arange(len(items))[:, None], listed.shape)
    np.add.at(counts, (rows[here], labels[listed[here]]), 1.0)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    logs = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
    return -(shares * logs).sum(axis=1) + 0.0
