"""What may follow a prefix where each user has candidates of their own: the trie of those alone."""

from typing import no_type_check

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from llmrec_jax.decoding.beam_search import take_beams
from llmrec_jax.semantic_ids.trie import NO_NODE, AllowedItems, Trie


@no_type_check
@flax.struct.dataclass
class CandidateContinuations:
    """A slot a candidate: as many as there are, however wide the catalogue's trie is.

    Candidates stand in the order of their tokens, so those that share a prefix are neighbours and the first
    of them opens it.

    Attributes:
      tokens: of each candidate.
      nodes: of each candidate in the catalogue's trie at levels 1, 2, ...; -1 for one that is not there.
      opens: whether the candidate is the first with its node.
    """

    tokens: Int[Array, 'batch candidates levels']
    nodes: Int[Array, 'batch candidates levels']
    opens: Bool[Array, 'batch candidates levels']

    @property
    def steps(self) -> int:
        """Levels of the trie."""
        return self.tokens.shape[2]

    def slot_logits(self, position, nodes, logits):
        """A slot a candidate, open in the beams whose prefix the candidate begins with."""
        # At the root there is no level before; the last column stands in for it, unread.
        parents = jnp.where(position == 0, 0, _level(self.nodes, position - 1))
        is_open = _level(self.opens, position)[:, None, :] & (parents[:, None, :] == nodes[:, :, None])
        shape = (*nodes.shape, self.tokens.shape[1])
        tokens = jnp.broadcast_to(_level(self.tokens, position)[:, None, :], shape)
        chosen = jnp.take_along_axis(logits, tokens, axis=-1, mode='promise_in_bounds')
        return jnp.where(is_open, chosen, -jnp.inf)

    def follow(self, position, nodes, slots):
        """A closed slot leads to some node of the next level; its score of -inf tells."""
        tokens = take_beams(_level(self.tokens, position), slots)
        return tokens, jnp.maximum(take_beams(_level(self.nodes, position), slots), 0)

    def tail(self, first: int) -> 'CandidateContinuations':
        """Itself: the position may be traced."""
        return self


def _level(leaf: Array, position: int | Int[Array, '']) -> Array:
    return jax.lax.dynamic_index_in_dim(leaf, position, axis=2, keepdims=False)


def candidate_continuations(
    trie: Trie,
    candidates: Int[Array, 'batch candidates'],
    *,
    seen: Int[Array, 'batch history'] | None,
    allowed: AllowedItems | None,
) -> CandidateContinuations:
    """The continuations of users who choose from `candidates` (-1 pads; repeats count once)."""
    exists = (candidates >= 0) & (candidates < trie.n_items)
    rows = jnp.clip(candidates, 0, trie.n_items - 1)
    if allowed is not None:
        exists &= allowed.items[rows]
    if seen is not None:
        exists &= ~(candidates[:, :, None] == seen[:, None, :]).any(axis=-1)
    nodes = jnp.where(exists[:, :, None], trie.item_nodes[rows], NO_NODE)
    # Leaves stand in lexicographic order, and so do the nodes above them.
    nodes = take_beams(nodes, jnp.argsort(nodes[:, :, -1], axis=-1))
    before = jnp.pad(nodes, ((0, 0), (1, 0), (0, 0)), constant_values=NO_NODE)[:, :-1]
    tokens = [trie.child_tokens[level][jnp.maximum(nodes[:, :, level], 0)] for level in range(trie.levels)]
    return CandidateContinuations(tokens=jnp.stack(tokens, axis=-1), nodes=nodes, opens=nodes != before)
