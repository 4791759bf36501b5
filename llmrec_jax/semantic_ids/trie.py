"""The trie of a catalogue's semantic IDs, as arrays that a jitted search reads.

Nodes stand by level, in lexicographic order of their prefixes: level 0 is the root, level `l` holds the
distinct prefixes of `l` tokens, the last level the items. The children of a node are then neighbours in the
next level, so a row offset a node and a token a child say it all (compressed rows). The first
`dense_levels` levels, where nodes are few and children many, also have a table of children by token, which
turns "which tokens may follow" into one look-up.

Where ids are words, they are sequences of pieces of different lengths, each ended by the end token.
"""

from collections.abc import Sequence
from typing import no_type_check

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

NO_NODE = -1


# jax.tree functions rebuild pytrees around whatever they map to: shapes, shardings, numpy arrays.
@no_type_check
@flax.struct.dataclass
class Trie:
    """Valid token sequences and the items they name: a pytree, passed to jitted functions as an argument.

    Functions compiled for one trie serve every trie of the same array shapes and static fields.

    Attributes:
      row_offsets: for each level but the items'; children of node `i` are nodes `row[i]:row[i + 1]` of the
        next level.
      child_tokens: for each level but the items'; the token that leads to each node of the next level.
      dense_children: one table for each of the first levels; column `token - low` of row `i` is the child of
        node `i`, or -1. `low` is the first token of the level's range.
      leaf_counts: for levels 1, 2, ...; number of items under each node.
      leaf_items: item of each node of the last level.
      item_nodes: the node of each item at levels 1, 2, ...
      level_ranges: static; (first token, number of tokens) of each level.
      max_branching: static; the most children that a node of each level has.
    """

    row_offsets: tuple[Int[Array, '_'], ...]
    child_tokens: tuple[Int[Array, '_'], ...]
    dense_children: tuple[Int[Array, '_ _'], ...]
    leaf_counts: tuple[Int[Array, '_'], ...]
    leaf_items: Int[Array, 'items']
    item_nodes: Int[Array, 'items levels']
    level_ranges: tuple[tuple[int, int], ...] = flax.struct.field(pytree_node=False)
    max_branching: tuple[int, ...] = flax.struct.field(pytree_node=False)

    @property
    def levels(self) -> int:
        """Tokens of an item."""
        return len(self.level_ranges)

    @property
    def n_items(self) -> int:
        """Items of the catalogue."""
        return self.leaf_items.shape[0]


@no_type_check
@flax.struct.dataclass
class AllowedItems:
    """A subset of the catalogue, as the trie sees it: swapping one for another compiles nothing again.

    Attributes:
      leaf_counts: as in `Trie`, counting allowed items alone; a node of count 0 is closed.
      items: whether each item is allowed.
    """

    leaf_counts: tuple[Int[Array, '_'], ...]
    items: Bool[Array, 'items']


def build_trie(
    tokens: Int[np.ndarray, 'items levels'] | Sequence[Sequence[int]],
    *,
    dense_levels: int = 2,
    level_ranges: Sequence[tuple[int, int]] | None = None,
) -> Trie:
    """The trie of a catalogue; a million items of four tokens take seconds.

    Args:
      tokens: row `i` holds item `i`'s vocabulary ids, one a level (`TokenLayout.item_tokens` of the code
        table).
      dense_levels: how many levels, from the root, get a table of children by token: four bytes for each node
        and token of the level's range.
      level_ranges: (first token, number of tokens) of each level; read from `tokens` when not given. Giving a
        layout's own ranges lets catalogues of one layout share compiled searches.

    Raises:
      ValueError: when the catalogue is empty, rows differ in length, two items have the same row, a token
        lies outside its level's range, or `dense_levels` is negative.
    """
    rows = _rectangular(tokens)
    items, levels = rows.shape
    if dense_levels < 0:
        raise ValueError(f'dense_levels must not be negative, got {dense_levels}')
    ranges = _checked_ranges(rows, level_ranges)

    order = np.lexsort(rows.T[::-1])
    sorted_rows = rows[order]
    # Column l: whether the row opens a new prefix of l + 1 tokens.
    opens = np.ones((items, levels), bool)
    opens[1:] = np.logical_or.accumulate(sorted_rows[1:] != sorted_rows[:-1], axis=1)
    same = np.flatnonzero(~opens[:, -1])
    if len(same):
        first, second = sorted(order[same[0] - 1 : same[0] + 1].tolist())
        raise ValueError(
            f'items {first} and {second} have the same tokens {rows[first].tolist()}: '
            f'give one of them a level that tells them apart (collisions.resolve)'
        )

    sorted_nodes = np.cumsum(opens, axis=0, dtype=np.int32) - 1
    row_offsets, child_tokens, max_branching = [], [], []
    parents = np.zeros(items, np.int32)
    for level in range(levels):
        opening = np.flatnonzero(opens[:, level])
        children = np.bincount(parents[opening], minlength=int(parents[-1]) + 1)
        row_offsets.append(np.concatenate([[0], np.cumsum(children)]).astype(np.int32))
        child_tokens.append(sorted_rows[opening, level].astype(np.int32))
        max_branching.append(int(children.max()))
        parents = sorted_nodes[:, level]
    item_nodes = np.empty((items, levels), np.int32)
    item_nodes[order] = sorted_nodes
    return Trie(
        row_offsets=tuple(map(jnp.asarray, row_offsets)),
        child_tokens=tuple(map(jnp.asarray, child_tokens)),
        dense_children=tuple(
            jnp.asarray(_dense_table(row_offsets[level], child_tokens[level], ranges[level]))
            for level in range(min(dense_levels, levels))
        ),
        leaf_counts=tuple(
            jnp.asarray(np.bincount(sorted_nodes[:, level]).astype(np.int32)) for level in range(levels)
        ),
        leaf_items=jnp.asarray(order.astype(np.int32)),
        item_nodes=jnp.asarray(item_nodes),
        level_ranges=ranges,
        max_branching=tuple(max_branching),
    )


def restrict(trie: Trie, allowed: Bool[Array, 'items'] | Bool[np.ndarray, 'items']) -> AllowedItems:
    """The subset of `trie` whose items are `allowed`, counted from the leaves up; works under `jit`.

    Raises:
      ValueError: when `allowed` has not one entry an item.
    """
    if allowed.shape != (trie.n_items,):
        raise ValueError(f'allowed must have one entry for each of {trie.n_items} items, got {allowed.shape}')
    items = jnp.asarray(allowed)
    counts = [items[trie.leaf_items].astype(jnp.int32)]
    for offsets in reversed(trie.row_offsets[1:]):
        before = jnp.concatenate([jnp.zeros(1, jnp.int32), jnp.cumsum(counts[0])])
        counts.insert(0, before[offsets[1:]] - before[offsets[:-1]])
    return AllowedItems(leaf_counts=tuple(counts), items=items)


def find_child(
    trie: Trie, level: int, nodes: Int[Array, '*batch'], tokens: Int[Array, '*batch']
) -> Int[Array, '*batch']:
    """The child that `tokens` leads to from each node of `level`; -1 where there is none, or the node itself
    is -1."""
    known = jnp.maximum(nodes, 0)
    low, width = trie.level_ranges[level]
    if level < len(trie.dense_children):
        column = tokens - low
        inside = (column >= 0) & (column < width)
        child = trie.dense_children[level][known, jnp.clip(column, 0, width - 1)]
        return jnp.where(inside & (nodes >= 0), child, NO_NODE)
    slots = jax.lax.broadcasted_iota(jnp.int32, (*nodes.shape, trie.max_branching[level]), nodes.ndim)
    children = trie.row_offsets[level][known][..., None] + slots
    exists = children < trie.row_offsets[level][known + 1][..., None]
    found = exists & (trie.child_tokens[level].at[children].get(mode='clip') == tokens[..., None])
    child = jnp.max(jnp.where(found, children, NO_NODE), axis=-1)
    return jnp.where(nodes >= 0, child, NO_NODE)


def find_items(trie: Trie, tokens: Int[Array, '*batch levels']) -> Int[Array, '*batch']:
    """The item that each token sequence names; -1 where it names none.

    Raises:
      ValueError: when the sequences have not as many tokens as the trie has levels.
    """
    if tokens.shape[-1] != trie.levels:
        raise ValueError(f'the trie has {trie.levels} levels, the sequences {tokens.shape[-1]} tokens')
    nodes = jnp.zeros(tokens.shape[:-1], jnp.int32)
    for level in range(trie.levels):
        nodes = find_child(trie, level, nodes, tokens[..., level])
    return jnp.where(nodes >= 0, trie.leaf_items[jnp.maximum(nodes, 0)], NO_NODE)


def _rectangular(tokens: Int[np.ndarray, 'items levels'] | Sequence[Sequence[int]]) -> np.ndarray:
    """`tokens` as a matrix with at least one row and one column."""
    if not isinstance(tokens, np.ndarray):
        lengths = np.array([len(row) for row in tokens], np.int64)
        ragged = np.flatnonzero(lengths != lengths[:1])
        if len(ragged):
            raise ValueError(
                f'every item must have as many tokens as item 0 ({lengths[0]}), but item {ragged[0]} has '
                f'{lengths[ragged[0]]}'
            )
        tokens = np.array(tokens, np.int64).reshape(len(tokens), lengths[0] if len(tokens) else 0)
    if 0 in tokens.shape:
        raise ValueError(f'a trie needs at least one item and one level, got tokens of shape {tokens.shape}')
    return tokens


def _checked_ranges(
    rows: Int[np.ndarray, 'items levels'], level_ranges: Sequence[tuple[int, int]] | None
) -> tuple[tuple[int, int], ...]:
    """(first token, number of tokens) of each level, checked against `rows`."""
    if level_ranges is None:
        lows, highs = rows.min(axis=0).tolist(), rows.max(axis=0).tolist()
        return tuple((low, high - low + 1) for low, high in zip(lows, highs))
    if len(level_ranges) != rows.shape[1]:
        raise ValueError(f'{len(level_ranges)} level ranges were given for {rows.shape[1]} levels')
    for level, (low, width) in enumerate(level_ranges):
        outside = np.flatnonzero((rows[:, level] < low) | (rows[:, level] >= low + width))
        if len(outside):
            raise ValueError(
                f'item {outside[0]} has token {rows[outside[0], level]} at level {level}, '
                f'outside its range {low}..{low + width - 1}: codes and token layout do not belong together'
            )
    return tuple((int(low), int(width)) for low, width in level_ranges)


def _dense_table(
    row_offsets: Int[np.ndarray, 'nodes_plus_1'],
    child_tokens: Int[np.ndarray, 'children'],
    level_range: tuple[int, int],
) -> Int[np.ndarray, 'nodes width']:
    """The child of each node by token; -1 where there is none."""
    low, width = level_range
    table = np.full((len(row_offsets) - 1, width), NO_NODE, np.int32)
    parents = np.repeat(np.arange(len(table)), np.diff(row_offsets))
    table[parents, child_tokens - low] = np.arange(len(child_tokens))
    return table


PAD = 0


def name_trie(
    names_tokens: Sequence[Sequence[int]], eos_id: int = 1, *, names: Sequence[str] | None = None
) -> Trie:
    """The trie of a catalogue's names, for `decoding.NameSearch`.

    A name may begin with another whole name: the end token tells them apart. Behind the end token a name is
    padded with 0 to the length of the longest. No level has a dense table, which would be as wide as the
    vocabulary: a search looks at a node's own children alone.

    Args:
      names_tokens: row `i` holds the pieces of item `i`'s name, without end token (a vocabulary's `encode`).
      eos_id: the vocabulary's end token.
      names: the names themselves, for the errors' sake.

    Raises:
      ValueError: when there is no name, a name has no piece or holds the padding or the end token, or two
        names have the same pieces.
    """
    if not len(names_tokens):
        raise ValueError('a trie of names needs at least one name')

    def described(item: int) -> str:
        return f'item {item}' if names is None else f'item {item} ({names[item]!r})'

    lengths = np.array([len(row) for row in names_tokens])
    rows = np.full((len(names_tokens), lengths.max() + 1), PAD, np.int64)
    for item, pieces in enumerate(names_tokens):
        if not len(pieces) or min(pieces) <= PAD or eos_id in pieces:
            raise ValueError(
                f'the name of {described(item)} has the pieces {list(pieces)}: a name needs one at least, '
                f'and neither the padding {PAD} nor the end token {eos_id} may be among them'
            )
        rows[item, : len(pieces)] = pieces
        rows[item, len(pieces)] = eos_id
    unique, counts = np.unique(rows, axis=0, return_counts=True)
    if len(unique) < len(rows):
        shared = unique[counts > 1][0]
        one, other = np.flatnonzero((rows == shared).all(axis=1))[:2].tolist()
        raise ValueError(
            f'{described(one)} and {described(other)} have the same pieces {list(names_tokens[one])}: '
            'no search can tell them apart. Give them names that differ after encoding'
        )
    return build_trie(rows, dense_levels=0)
