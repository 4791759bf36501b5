"""How good a set of semantic IDs is, before any model is trained on it.

There are figures, examples of which items stand nearest by shared prefix, and one table over quantizers
that were all given the same vectors.
"""

import dataclasses
import time
from collections.abc import Mapping
from typing import Any, TypedDict

import numpy as np
from jaxtyping import Float, Int

from llmrec_jax.semantic_ids.collisions import collision_rate, prefix_groups, resolve, shares_prefix
from llmrec_jax.semantic_ids.quantization import Quantization, Quantizer


class Diagnostics(TypedDict):
    """Figures of the learned levels, JSON-able; lists have one value a level.

    Attributes:
      n_items: number of items.
      codebook_sizes: number of codewords.
      usage: share of the codewords that at least one item has.
      entropy: of the distribution of items over codewords, in bits.
      perplexity: `2 ** entropy`, how many equally used codewords that is worth.
      shared_prefix: share of items that have their codes up to this level in common with another item.
      collision_rate: share of items that have all learned codes in common with another item.
      nearest_collision_rate: the same before the last level told colliding items apart; None where the
        quantizer knows no nearest codeword.
      moved_share: share of items that left their nearest codeword of the last level so that they differ from
        others; None likewise.
      identical_vectors: share of items whose vector another item has too: collisions no codebook can avoid.
      reconstruction_error: share of the vectors' variance that the codes do not give back; 0 is perfect.
      prefix_similarity: mean cosine of pairs of items that share the prefix up to a level; None without any.
      random_similarity: mean cosine of random pairs of items; None for a single item.
    """

    n_items: int
    codebook_sizes: list[int]
    usage: list[float]
    entropy: list[float]
    perplexity: list[float]
    shared_prefix: list[float]
    collision_rate: float
    nearest_collision_rate: float | None
    moved_share: float | None
    identical_vectors: float
    reconstruction_error: float
    prefix_similarity: list[float | None]
    random_similarity: float | None


def diagnose(
    quantization: Quantization,
    vectors: Float[np.ndarray, 'items dim'],
    *,
    seed: int = 0,
    pairs: int = 20_000,
) -> Diagnostics:
    """Measures learned codes against the vectors they were made from.

    Args:
      quantization: the learned levels, without the collision level.
      vectors: what was quantized.
      seed: of the drawn pairs.
      pairs: number of pairs drawn for each similarity.
    """
    codes, sizes = quantization.codes, quantization.codebook_sizes
    levels = range(len(sizes))
    entropy = [_entropy(np.bincount(codes[:, level])) for level in levels]
    variance = float(np.square(vectors - vectors.mean(axis=0)).sum())
    error = float(np.square(vectors - quantization.reconstruction).sum())
    rng = np.random.default_rng(seed)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    similarity = [
        _similarity_within(unit, prefix_groups(codes[:, :length]), pairs, rng)
        for length in range(len(sizes) + 1)
    ]
    _, copies, counts = np.unique(vectors, axis=0, return_inverse=True, return_counts=True)
    return Diagnostics(
        n_items=len(codes),
        codebook_sizes=list(sizes),
        usage=[len(np.unique(codes[:, level])) / sizes[level] for level in levels],
        entropy=entropy,
        perplexity=[2**bits for bits in entropy],
        shared_prefix=[float(shares_prefix(codes, level + 1).mean()) for level in levels],
        collision_rate=collision_rate(codes),
        nearest_collision_rate=quantization.nearest_collision_rate,
        moved_share=quantization.moved_share,
        identical_vectors=float((counts[copies.reshape(-1)] > 1).mean()),
        reconstruction_error=error / variance if variance else float(error > 0),
        prefix_similarity=similarity[1:],
        random_similarity=similarity[0],
    )


def check_health(
    diagnostics: Diagnostics, *, min_usage: float = 0.8, max_collision_rate: float = 0.3
) -> list[str]:
    """What is wrong with the codes, one sentence a finding; empty where nothing is.

    Args:
      diagnostics: of the learned levels.
      min_usage: share of each codebook that must be in use (papers: TIGER accepts 80 %).
      max_collision_rate: share of items that may share all their learned codes.
    """
    findings = [
        f'level {level}: {usage:.0%} of {size} codewords in use, below {min_usage:.0%}: the codebook has '
        'collapsed or is too large; train longer, revive dead codewords, or use fewer'
        for level, (usage, size) in enumerate(
            zip(diagnostics['usage'], diagnostics['codebook_sizes'], strict=True)
        )
        if usage < min_usage
    ]
    if diagnostics['collision_rate'] > max_collision_rate:
        findings.append(
            f'{diagnostics["collision_rate"]:.1%} of items share all learned codes with another, above '
            f'{max_collision_rate:.1%} ({diagnostics["identical_vectors"]:.1%} have identical vectors): '
            'enlarge the codebooks, add a level, or give the encoder more text'
        )
    return findings


def constant_level(codes: Int[np.ndarray, 'items levels']) -> list[str]:
    """A sentence where the last level says nothing, because no two items share the codes before it.

    Args:
      codes: of a code table whose last level tells items with equal codes apart.
    """
    if codes[:, -1].any():
        return []
    level = codes.shape[1] - 1
    return [
        f'level {level} tells items with equal codes apart, and no two items have equal codes: every item '
        'has its code 0, and a token that says nothing; leave the last number out of '
        'TokenLayout.codebook_sizes, and a token an item out of the feature lengths'
    ]


def _entropy(counts: Int[np.ndarray, 'codewords']) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum()) + 0.0


def _similarity_within(
    unit: Float[np.ndarray, 'items dim'],
    group: Int[np.ndarray, 'items'],
    pairs: int,
    rng: np.random.Generator,
) -> float | None:
    """Mean cosine of pairs of different items of the same group, drawn by first item."""
    order = np.argsort(group, kind='stable')
    counts = np.bincount(group)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    position = np.empty(len(group), np.int64)
    position[order] = np.arange(len(group)) - np.repeat(starts, counts)
    candidates = np.flatnonzero(counts[group] > 1)
    if not len(candidates):
        return None
    first = rng.choice(candidates, pairs)
    size = counts[group[first]]
    shift = rng.integers(1, size)
    second = order[starts[group[first]] + (position[first] + shift) % size]
    return float(np.einsum('pd,pd->p', unit[first], unit[second]).mean())


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


def compare_quantizers(
    quantizers: Mapping[str, Quantizer], vectors: Float[np.ndarray, 'items dim'], seed: int
) -> list[dict[str, Any]]:
    """Quantizes the vectors with each and measures the result.

    Returns:
      A row a quantizer, in the given order: `quantizer`, `seconds`, `levels`, `lowest_usage` and
      `lowest_perplexity` over the levels, `shared_1`, `shared_2`, ... (share of items with so many first
      codes in common with another), `collision_rate`, `nearest_collision_rate`, `moved_share`,
      `collision_level_size`, `identical_vectors`, `reconstruction_error`,
      `similarity_1`, ... (mean cosine within a shared prefix) and `random_similarity`.
    """
    rows = []
    for name, quantizer in quantizers.items():
        start = time.perf_counter()
        quantization = quantizer.quantize(vectors, seed)
        seconds = time.perf_counter() - start
        figures = diagnose(quantization, vectors, seed=seed)
        _, sizes = resolve(quantization.codes, quantization.codebook_sizes)
        rows.append(
            {
                'quantizer': name,
                'seconds': seconds,
                'levels': len(figures['codebook_sizes']),
                'lowest_usage': min(figures['usage']),
                'lowest_perplexity': min(figures['perplexity']),
                **{f'shared_{n}': share for n, share in enumerate(figures['shared_prefix'], start=1)},
                'collision_rate': figures['collision_rate'],
                'nearest_collision_rate': figures['nearest_collision_rate'],
                'moved_share': figures['moved_share'],
                'collision_level_size': sizes[-1],
                'identical_vectors': figures['identical_vectors'],
                'reconstruction_error': figures['reconstruction_error'],
                **{f'similarity_{n}': value for n, value in enumerate(figures['prefix_similarity'], start=1)},
                'random_similarity': figures['random_similarity'],
            }
        )
    return rows
