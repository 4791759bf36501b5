"""Examples to look at: which items stand nearest to an item by shared prefix."""

import dataclasses

import numpy as np
from jaxtyping import Int


@dataclasses.dataclass(frozen=True)
class PrefixNeighbours:
    """An item and those that share the longest prefix of its codes with it.

    Attributes:
      item: its index.
      codes: its codes.
      shared_levels: how many leading codes the nearest others share with it; 0 if nobody shares the first.
      neighbours: their indices, in order, cut to as many as were asked for; empty where `shared_levels` is 0.
      n_neighbours: how many there are in all.
    """

    item: int
    codes: tuple[int, ...]
    shared_levels: int
    neighbours: tuple[int, ...]
    n_neighbours: int


def prefix_neighbours(codes: Int[np.ndarray, 'items levels'], item: int, limit: int = 5) -> PrefixNeighbours:
    """The items that share the longest prefix with `item`.

    Args:
      codes: learned levels, or all.
      item: whose neighbours.
      limit: neighbours listed.
    """
    shared = np.cumprod(codes == codes[item][None, :], axis=1).sum(axis=1)
    shared[item] = 0
    longest = int(shared.max(initial=0))
    others = np.flatnonzero(shared == longest) if longest else np.zeros(0, np.int64)
    return PrefixNeighbours(
        item=item,
        codes=tuple(int(code) for code in codes[item]),
        shared_levels=longest,
        neighbours=tuple(int(other) for other in others[:limit]),
        n_neighbours=len(others),
    )


def example_neighbours(
    codes: Int[np.ndarray, 'items levels'], *, examples: int = 12, limit: int = 5, seed: int = 0
) -> list[PrefixNeighbours]:
    """`prefix_neighbours` of items drawn at random, in the order of their indices."""
    items = np.random.default_rng(seed).choice(len(codes), min(examples, len(codes)), replace=False)
    return [prefix_neighbours(codes, int(item), limit) for item in np.sort(items)]
