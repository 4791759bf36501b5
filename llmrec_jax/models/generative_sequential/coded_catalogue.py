"""A catalogue told by codes, as item encoders and heads read it: the codes, and the tree that they make."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from llmrec_jax.models.sequential.item_encoder import CatalogueFacts
from llmrec_jax.semantic_ids.code_table import CodeTable
from llmrec_jax.semantic_ids.trie import Trie, build_trie


@dataclasses.dataclass(frozen=True, eq=False)
class CodedCatalogue:
    """The codes of all items.

    Attributes:
      codes: of each item; all rows differ.
      sizes: codewords of each level.
      trie: the rows as a tree; a node's children are its slots, in ascending order of their codes.
    """

    codes: Int[np.ndarray, 'items levels']
    sizes: tuple[int, ...]
    trie: Trie

    @classmethod
    def of(cls, table: CodeTable) -> 'CodedCatalogue':
        """The catalogue of a table, without levels at which all items have the same code.

        The collision level is one of those where the learned levels tell all items apart.
        """
        varies = np.ptp(table.codes, axis=0) > 0
        # Of a catalogue of one item nothing varies, and a tree has a level.
        varies[0] |= not varies.any()
        codes = np.ascontiguousarray(table.codes[:, varies], np.int32)
        sizes = tuple(size for size, kept in zip(table.codebook_sizes, varies, strict=True) if kept)
        ranges = [(0, size) for size in sizes]
        return cls(codes, sizes, build_trie(codes, dense_levels=0, level_ranges=ranges))

    @property
    def levels(self) -> int:
        """Codes of an item."""
        return len(self.sizes)

    @functools.cached_property
    def levels_of_nodes(self) -> tuple['LevelNodes', ...]:
        """What the whole catalogue is scored by, level by level."""
        found = []
        nodes = np.zeros(len(self.codes), np.int64)
        # May be asked for under a trace, in which a slice would be traced too.
        item_nodes = np.asarray(self.trie.item_nodes)
        for level in range(self.levels):
            children = item_nodes[:, level]
            item_of = np.zeros(int(children.max()) + 1, np.int64)
            item_of[children] = np.arange(len(children))
            found.append(LevelNodes.of(nodes[item_of], self.codes[item_of, : level + 1]))
            nodes = children
        return tuple(found)


@dataclasses.dataclass(frozen=True, eq=False)
class LevelNodes:
    """The children of all nodes of one level.

    A node with one child has nothing to choose: heads are computed at the others alone, the forks.

    Attributes:
      parents: the node of each child.
      tokens: the code of each child.
      fork: for each child, its parent's place among the forks; the number of forks where it is none.
      fork_codes: codes that lead to each fork.
      n_forks: how many there are.
    """

    parents: Int[np.ndarray, 'children']
    tokens: Int[np.ndarray, 'children']
    fork: Int[np.ndarray, 'children']
    fork_codes: Int[np.ndarray, 'forks above']

    @classmethod
    def of(
        cls, parents: Int[np.ndarray, 'children'], codes: Int[np.ndarray, 'children level']
    ) -> 'LevelNodes':
        """From each child's parent and its codes, its own last."""
        counts = np.bincount(parents)
        forks = np.flatnonzero(counts > 1)
        place = np.full(len(counts), len(forks))
        place[forks] = np.arange(len(forks))
        first_child = np.zeros(len(counts), np.int64)
        first_child[parents[::-1]] = np.arange(len(parents))[::-1]
        return cls(
            parents.astype(np.int32),
            codes[:, -1].astype(np.int32),
            place[parents].astype(np.int32),
            codes[first_child[forks], :-1].astype(np.int32),
        )

    @property
    def n_forks(self) -> int:
        """Nodes with more than one child."""
        return len(self.fork_codes)


@dataclasses.dataclass(frozen=True, eq=False)
class CodedCatalogueFacts(CatalogueFacts):
    """`CatalogueFacts` of a catalogue that is told by codes.

    Attributes:
      coded: the codes.

    Raises:
      ValueError: when the codes are of a catalogue of another size.
    """

    coded: CodedCatalogue | None = None

    def __post_init__(self):
        super().__post_init__()
        if self.coded is not None and len(self.coded.codes) != self.n_items:
            raise ValueError(
                f'the code table has {len(self.coded.codes)} items, and the catalogue {self.n_items}: it was '
                'made of another corpus. Delete code_table.npz, and its stage makes it anew'
            )


def coded(facts: CatalogueFacts, asked_by: str) -> CodedCatalogue:
    """The codes that facts hold.

    Raises:
      ValueError: when they hold none.
    """
    found = getattr(facts, 'coded', None)
    if found is None:
        raise ValueError(f'{asked_by} reads the codes of items: give it CodedCatalogueFacts')
    return found


def children_of(
    trie: Trie, level: int, nodes: Int[Array, '*batch']
) -> tuple[Int[Array, '*batch slots'], Bool[Array, '*batch slots']]:
    """Each node's children as slots: their nodes at the next level, and which slots hold one."""
    first = trie.row_offsets[level].at[nodes].get(mode='clip')
    end = trie.row_offsets[level].at[nodes + 1].get(mode='clip')
    slots = jax.lax.broadcasted_iota(jnp.int32, (*nodes.shape, trie.max_branching[level]), nodes.ndim)
    children = first[..., None] + slots
    exists = children < end[..., None]
    return jnp.minimum(children, trie.child_tokens[level].shape[0] - 1), exists
