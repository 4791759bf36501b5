"""Cross-entropy of the next item's codes, level by level, each over the children of the codes before it."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from llmrec_jax.models.dropout import kept, kept_of
from llmrec_jax.models.generative_sequential.coded_catalogue import CodedCatalogue
from llmrec_jax.models.generative_sequential.head_parts import Heads, drawn_masks, moved_states, queries
from llmrec_jax.semantic_ids.trie import Trie

# Positions that choose among the children of one node read these together, so many at once.
BLOCK = 8


def code_losses(
    heads: Heads,
    catalogue: CodedCatalogue,
    node_vectors: list[Float[Array, '_ out']],
    states: Float[Array, 'positions dim'],
    items: Int[Array, 'positions'],
    dropout_rate: float,
    key: Key[Array, ''] | None,
    label_smoothing: float = 0.0,
    code_masking: float = 0.0,
) -> Float[Array, 'levels positions']:
    """`-log p` of each code of the items that come next, in nats; their sum is that of the item.

    Args:
      heads: the parameters.
      catalogue: the codes.
      node_vectors: of the nodes under each level's.
      states: of the positions.
      items: what comes next.
      dropout_rate: of the heads.
      key: of dropout and masking; None for none, and for no smoothing.
      label_smoothing: share of the target that is spread evenly over the children of its node's parent.
      code_masking: share of the codes above that a level does not see.
    """
    trie, path = catalogue.trie, catalogue.trie.item_nodes[items]
    codes = [of_level[items] for of_level in jnp.asarray(catalogue.codes.T)]
    shown = _shown(catalogue.levels, len(items), code_masking, key)
    moved = [
        moved_states(heads, level, states, codes[:level], None if shown is None else shown[level])
        for level in range(catalogue.levels)
    ]
    masks = drawn_masks(heads, len(items), dropout_rate, key)
    asked = queries(heads, jnp.stack(moved), masks)
    losses = []
    for level, vectors in enumerate(node_vectors):
        nodes = path[:, level - 1] if level else jnp.zeros_like(items)
        wanted = vectors[path[:, level]]
        if key is not None and label_smoothing:
            # Logits are linear in the vectors: the mean of siblings' logits is the logit of their mean.
            mean = _means_of_children(trie, level, vectors)[nodes]
            wanted = (1 - label_smoothing) * wanted + label_smoothing * mean
        of_target = jnp.sum(asked[level] * wanted, axis=-1)
        losses.append(_normalisers(trie, level, vectors, asked[level], nodes) - of_target)
    return jnp.stack(losses)


def _shown(
    levels: int, positions: int, masking: float, key: Key[Array, ''] | None
) -> Bool[Array, 'levels levels positions'] | None:
    if key is None or not masking:
        return None
    # Dropout draws from the key itself.
    return kept(jax.random.fold_in(key, 1), kept_of(masking), (levels, levels, positions))


def _means_of_children(
    trie: Trie, level: int, vectors: Float[Array, 'children out']
) -> Float[Array, 'nodes out']:
    offsets = trie.row_offsets[level]
    n_nodes = len(offsets) - 1
    parents = jnp.searchsorted(offsets, jnp.arange(len(vectors)), side='right') - 1
    sums = jax.ops.segment_sum(vectors, parents, n_nodes, indices_are_sorted=True)
    return sums / jnp.maximum(offsets[1:] - offsets[:-1], 1)[:, None]


def _normalisers(
    trie: Trie,
    level: int,
    vectors: Float[Array, 'children out'],
    asked: Float[Array, 'positions out'],
    nodes: Int[Array, 'positions'],
) -> Float[Array, 'positions']:
    """`log sum exp` of the logits of each position's node's children.

    Where there are few nodes, positions are put into blocks of one node each, so that the vectors of its
    children are read once a block.

    Args:
      trie: the catalogue.
      level: of the nodes.
      vectors: of all nodes under that level's.
      asked: queries.
      nodes: at which each position stands.
    """
    if level == 0:
        return jax.nn.logsumexp(asked @ vectors.T, axis=-1)
    positions, n_nodes = len(nodes), len(trie.row_offsets[level]) - 1
    size = BLOCK if n_nodes * BLOCK <= 2 * positions else 1
    order = jnp.argsort(nodes)
    ordered = nodes[order]
    rank = jnp.arange(positions) - jnp.searchsorted(ordered, ordered)
    block, lane = jnp.cumsum(rank % size == 0) - 1, rank % size
    n_blocks = positions // size + min(n_nodes, positions) if size > 1 else positions
    of_block = jnp.zeros(n_blocks, nodes.dtype).at[block].set(ordered)
    in_blocks = jnp.zeros((n_blocks, size, asked.shape[1]), asked.dtype).at[block, lane].set(asked[order])

    slots = trie.max_branching[level]
    padded = jnp.pad(vectors, ((0, slots), (0, 0)))
    first = trie.row_offsets[level][of_block]
    children = jax.vmap(lambda start: jax.lax.dynamic_slice_in_dim(padded, start, slots))(first)
    exists = jnp.arange(slots) < (trie.row_offsets[level][of_block + 1] - first)[:, None]
    logits = jnp.einsum('bpd,bsd->bps', in_blocks, children)
    found = jax.nn.logsumexp(jnp.where(exists[:, None], logits, -jnp.inf), axis=-1)
    return jnp.zeros(positions, found.dtype).at[order].set(found[block, lane])
