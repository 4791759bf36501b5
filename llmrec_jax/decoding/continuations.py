"""What may follow a prefix: the children of its node in the trie, or any token at all."""

from typing import Protocol, no_type_check, runtime_checkable

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from llmrec_jax.decoding.filters import items_left, seen_nodes
from llmrec_jax.semantic_ids.trie import AllowedItems, Trie, find_child


@runtime_checkable
class Continuations(Protocol):
    """Numbers the ways in which a prefix may go on: its slots, in ascending order of their token."""

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
            shape = (*nodes.shape, trie.max_branching[position])
            first = trie.row_offsets[position].at[nodes].get(mode='promise_in_bounds')
            end = trie.row_offsets[position].at[nodes + 1].get(mode='promise_in_bounds')
            children = jnp.expand_dims(first, -1) + jax.lax.broadcasted_iota(jnp.int32, shape, 2)
            is_open = children < jnp.expand_dims(end, -1)
            tokens = trie.child_tokens[position].at[children].get(mode='clip')
            candidates = jnp.take_along_axis(logits, tokens, axis=-1, mode='promise_in_bounds')
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
        last = trie.child_tokens[position].shape[0] - 1
        children = jnp.minimum(trie.row_offsets[position][nodes] + slots, last)
        return trie.child_tokens[position][children], children


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
