"""Closing the branches of a trie in which a user has nothing left to find."""

import jax.numpy as jnp
from jaxtyping import Array, Int

from llmrec_jax.semantic_ids.trie import NO_NODE, AllowedItems, Trie


def seen_nodes(
    trie: Trie, seen: Int[Array, 'batch history'], allowed: AllowedItems | None
) -> Int[Array, 'batch history levels']:
    """The node of each distinct seen item at levels 1, 2, ...

    -1 stands where `seen` names no item of the catalogue (its padding is -1), repeats one, or names one that
    is not allowed anyway, so that the entries equal to a node count the items under it that being seen takes
    away.
    """
    counts = (seen >= 0) & (seen < trie.n_items)
    row = jnp.clip(seen, 0, trie.n_items - 1)
    if allowed is not None:
        counts &= allowed.items[row]
    repeats = jnp.tril(seen[:, :, None] == seen[:, None, :], k=-1).any(axis=-1)
    return jnp.where((counts & ~repeats)[..., None], trie.item_nodes[row], NO_NODE)


def items_left(
    leaf_counts: Int[Array, 'nodes'],
    children: Int[Array, 'batch beam slots'],
    seen: Int[Array, 'batch history'] | None,
) -> Int[Array, 'batch beam slots']:
    """Number of items under each child that a user may still be shown.

    Args:
      leaf_counts: items under each node of the children's level.
      children: nodes of that level.
      seen: that level's column of `seen_nodes`; None takes nothing away.
    """
    left = leaf_counts.at[children].get(mode='clip')
    if seen is None:
        return left
    return left - jnp.sum(seen[:, None, None, :] == children[..., None], axis=-1, dtype=jnp.int32)
