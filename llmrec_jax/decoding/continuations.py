"""What may follow a prefix: the children of its node in the trie, or any token at all.

Branches in which a user has nothing left to find are closed.
"""

from typing import Protocol, no_type_check, runtime_checkable

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from llmrec_jax.semantic_ids.trie import NO_NODE, AllowedItems, Trie, find_child


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


@runtime_checkable
class Continuations(Protocol):
    """Numbers the ways in which a prefix may go on: its slots, in ascending order of their token.

    Those of a search with a loop also have `tail(first)`: the same for positions from `first` on, traced.
    """

    @property
    def steps(self) -> int:
        """Tokens of a complete sequence."""
        ...

    def slot_logits(
        self, position: int, nodes: Int[Array, 'batch beam'], logits: Float[Array, 'batch beam vocab']
    ) -> Float[Array, 'batch beam slots']:
        """The logit of each slot's token; -inf where the slot is closed."""
        ...

    def follow(
        self, position: int, nodes: Int[Array, 'batch beam'], slots: Int[Array, 'batch beam']
    ) -> tuple[Int[Array, 'batch beam'], Int[Array, 'batch beam']]:
        """The token of one slot of each node, and the node it leads to."""
        ...


@no_type_check
@flax.struct.dataclass
class TrieContinuations:
    """The trie's children that still lead to an item.

    Attributes:
      trie: the catalogue.
      allowed: None for the whole of it.
      seen: `seen_nodes` of each user; None keeps what was seen.
    """

    trie: Trie
    allowed: AllowedItems | None
    seen: Int[Array, 'batch history levels'] | None

    @property
    def steps(self) -> int:
        """Levels of the trie."""
        return self.trie.levels

    def slot_logits(self, position, nodes, logits):
        """A slot a token of the level where the table is dense, a slot a child below.

        Raises:
          ValueError: when the vocabulary is too small for the trie's tokens.
        """
        trie = self.trie
        low, width = trie.level_ranges[position]
        if low + width > logits.shape[-1]:
            raise ValueError(
                f'level {position} of the trie uses tokens {low}..{low + width - 1}, '
                f'but the model has logits for {logits.shape[-1]} tokens'
            )
        if position < len(trie.dense_children):
            candidates = jax.lax.slice_in_dim(logits, low, low + width, axis=-1)
            children = trie.dense_children[position].at[nodes].get(mode='promise_in_bounds')
            is_open = children >= 0
        else:
            rows = trie.row_offsets[position], trie.child_tokens[position]
            candidates, children, is_open = child_logits(*rows, trie.max_branching[position], nodes, logits)
        if self.allowed is not None or self.seen is not None:
            counts = (self.allowed or trie).leaf_counts[position]
            seen = None if self.seen is None else self.seen[:, :, position]
            is_open &= items_left(counts, children, seen) > 0
        return jnp.where(is_open, candidates, -jnp.inf)

    def follow(self, position, nodes, slots):
        """A closed slot leads to some node of the next level; its score of -inf tells."""
        trie = self.trie
        if position < len(trie.dense_children):
            tokens = trie.level_ranges[position][0] + slots
            return tokens, jnp.maximum(trie.dense_children[position][nodes, slots], 0)
        return nth_child(trie.row_offsets[position], trie.child_tokens[position], nodes, slots)

    def tail(self, first: int) -> 'TrieTail':
        """The continuations from level `first` on, whose position may be traced."""
        return trie_tail(self.trie, first, allowed=self.allowed, seen=self.seen)


def child_logits(
    row_offsets: Int[Array, 'nodes_plus_1'],
    child_tokens: Int[Array, 'children'],
    branching: int,
    nodes: Int[Array, 'batch beam'],
    logits: Float[Array, 'batch beam vocab'],
) -> tuple[Float[Array, 'batch beam slots'], Int[Array, 'batch beam slots'], Bool[Array, 'batch beam slots']]:
    """The logits of each node's children, a slot a child; the children; and which slots hold one."""
    first = row_offsets.at[nodes].get(mode='promise_in_bounds')
    end = row_offsets.at[nodes + 1].get(mode='promise_in_bounds')
    slots = jax.lax.broadcasted_iota(jnp.int32, (*nodes.shape, branching), 2)
    children = jnp.expand_dims(first, -1) + slots
    tokens = child_tokens.at[children].get(mode='clip')
    found = jnp.take_along_axis(logits, tokens, axis=-1, mode='promise_in_bounds')
    return found, children, children < jnp.expand_dims(end, -1)


def nth_child(
    row_offsets: Int[Array, 'nodes_plus_1'],
    child_tokens: Int[Array, 'children'],
    nodes: Int[Array, 'batch beam'],
    slots: Int[Array, 'batch beam'],
) -> tuple[Int[Array, 'batch beam'], Int[Array, 'batch beam']]:
    """Token and node of one child of each node; of some other child where there is none in that slot."""
    children = jnp.minimum(row_offsets[nodes] + slots, child_tokens.shape[0] - 1)
    return child_tokens[children], children


@no_type_check
@flax.struct.dataclass
class TrieTail:
    """`TrieContinuations` of the last levels, all in arrays of one shape.

    Attributes:
      row_offsets: a row a level; see `Trie`.
      child_tokens: a row a level.
      leaf_counts: a row a level; of the allowed items where only some are. None where nothing is filtered.
      seen: a row a level of `seen_nodes`; None keeps what was seen.
      first: static; the first of the levels.
      branching: static; the most children of a node.
    """

    row_offsets: Int[Array, 'levels nodes_plus_1']
    child_tokens: Int[Array, 'levels children']
    leaf_counts: Int[Array, 'levels children'] | None
    seen: Int[Array, 'levels batch history'] | None
    first: int = flax.struct.field(pytree_node=False)
    branching: int = flax.struct.field(pytree_node=False)

    @property
    def steps(self) -> int:
        """Levels of the trie."""
        return self.first + self.row_offsets.shape[0]

    def slot_logits(self, position, nodes, logits):
        """A slot a child."""
        level = position - self.first
        rows = self.row_offsets[level], self.child_tokens[level]
        candidates, children, is_open = child_logits(*rows, self.branching, nodes, logits)
        if self.leaf_counts is not None:
            seen = None if self.seen is None else self.seen[level]
            is_open &= items_left(self.leaf_counts[level], children, seen) > 0
        return jnp.where(is_open, candidates, -jnp.inf)

    def follow(self, position, nodes, slots):
        """A closed slot leads to some node of the next level; its score of -inf tells."""
        level = position - self.first
        return nth_child(self.row_offsets[level], self.child_tokens[level], nodes, slots)


def trie_tail(
    trie: Trie, first: int, *, allowed: AllowedItems | None, seen: Int[Array, 'batch history levels'] | None
) -> TrieTail:
    """The levels of `trie` from `first` on, padded to the widest; `seen` as in `TrieContinuations`."""
    children = trie.child_tokens[first:]
    widest = max(trie.row_offsets[first].shape[0] - 1, *(level.shape[0] for level in children))
    counts = None
    if allowed is not None or seen is not None:
        counts = _stacked((allowed or trie).leaf_counts[first:], widest, 'constant')
    return TrieTail(
        # Nodes behind a level's last one have no children.
        row_offsets=_stacked(trie.row_offsets[first:], widest + 1, 'edge'),
        child_tokens=_stacked(children, widest, 'constant'),
        leaf_counts=counts,
        seen=None if seen is None else jnp.moveaxis(seen[:, :, first:], 2, 0),
        first=first,
        branching=max(trie.max_branching[first:]),
    )


def _stacked(levels: tuple[Int[Array, '_'], ...], width: int, padding: str) -> Int[Array, 'levels width']:
    return jnp.stack([jnp.pad(level, (0, width - level.shape[0]), mode=padding) for level in levels])


@no_type_check
@flax.struct.dataclass
class AnyContinuation:
    """Every token of the vocabulary; the trie is walked along to know what a sequence names, if anything."""

    trie: Trie

    @property
    def steps(self) -> int:
        """Levels of the trie."""
        return self.trie.levels

    def slot_logits(self, position, nodes, logits):
        """A slot a token."""
        return logits

    def follow(self, position, nodes, slots):
        """The node is -1 from the first token on that the trie does not know."""
        return slots, find_child(self.trie, position, nodes, slots)


def trie_continuations(
    trie: Trie, *, seen: Int[Array, 'batch history'] | None, allowed: AllowedItems | None
) -> TrieContinuations:
    """The trie's continuations for users who have `seen` items (-1 pads) where only some are `allowed`."""
    nodes = None if seen is None else seen_nodes(trie, seen, allowed)
    return TrieContinuations(trie=trie, allowed=allowed, seen=nodes)
