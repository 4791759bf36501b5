"""What the constraint alone costs: a whole search over random logits, no network, one JSON line a figure.

    python benchmarks/trie_constraint.py --items 12101 1000000

Milliseconds a user for four levels: normalising, masking, the k best, following the trie, naming the items.
With the `parity` extra, transformers' PrefixConstrainedLogitsProcessor masks the same logits for the same
number of prefixes, without a search around it.
"""

import argparse
import importlib.util
import json
import os
import time
from collections.abc import Callable
from importlib import metadata

import jax
import jax.numpy as jnp
import numpy as np

from llmrec_jax.decoding.semantic_id_search import SemanticIdSearch
from llmrec_jax.semantic_ids.token_layout import TokenLayout
from llmrec_jax.semantic_ids.trie import build_trie, restrict

LAYOUT = TokenLayout(codebook_sizes=(256, 256, 256, 256), user_tokens=2000, multiple_of=1)
SEEN = 20


def unique_tokens(n_items: int, seed: int) -> np.ndarray:
    flat = np.random.default_rng(seed).choice(256**4, size=n_items, replace=False)
    return LAYOUT.item_tokens(np.stack(np.unravel_index(flat, LAYOUT.codebook_sizes), axis=-1))


def median_ms_per_user(run: Callable[[], object], users: int, repeats: int) -> dict[str, float]:
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start) / users)
    return {
        'ms_per_user': round(float(np.median(times)), 4),
        'fastest': round(min(times), 4),
        'slowest': round(max(times), 4),
    }


def our_constraint(tokens: np.ndarray, users: int, beam_size: int, filtered: bool) -> Callable[[], jax.Array]:
    trie = build_trie(tokens)
    random = np.random.default_rng(1)
    # One array a step, as wide as the beam then is: the search reads them where they lie.
    logits = [
        jnp.asarray(random.normal(size=(users, beams, LAYOUT.vocab_size)), jnp.float32)
        for beams in (1, *[beam_size] * (LAYOUT.n_levels - 1))
    ]
    seen = allowed = None
    if filtered:
        seen = jnp.asarray(random.integers(0, len(tokens), (users, SEEN)))
        allowed = jax.jit(restrict)(trie, random.random(len(tokens)) < 0.5)
    searcher = SemanticIdSearch(beam_size=beam_size)

    @jax.jit
    def find(logits, trie, seen, allowed):
        def step(newest, position, state):
            return logits[position], state

        return searcher(step, (), batch_size=users, trie=trie, seen=seen, allowed=allowed)

    return lambda: jax.block_until_ready(find(logits, trie, seen, allowed))


def transformers_constraint(tokens: np.ndarray, users: int, beam_size: int) -> Callable[[], None]:
    import torch
    from transformers import PrefixConstrainedLogitsProcessor

    children: dict[tuple[int, ...], list[int]] = {}
    for row in map(tuple, np.unique(tokens, axis=0).tolist()):
        for level, token in enumerate(row):
            following = children.setdefault(row[:level], [])
            if not following or following[-1] != token:
                following.append(token)
    processor = PrefixConstrainedLogitsProcessor(
        lambda user, generated: children[tuple(generated[1:].tolist())], beam_size
    )
    rows = tokens[np.random.default_rng(1).integers(0, len(tokens), users * beam_size)]
    generated = torch.tensor(np.pad(rows, ((0, 0), (1, 0))), dtype=torch.long)
    logits = torch.randn(users * beam_size, LAYOUT.vocab_size)

    def mask() -> None:
        for level in range(LAYOUT.n_levels):
            processor(generated[:, : level + 1], logits)

    return mask


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--items', type=int, nargs='+', default=[12_101, 1_000_000])
    parser.add_argument('--beams', type=int, nargs='+', default=[10, 20])
    parser.add_argument('--users', type=int, default=32)
    parser.add_argument('--repeats', type=int, default=20)
    args = parser.parse_args()
    packages = ['jax']
    if importlib.util.find_spec('transformers'):
        packages.append('transformers')
    machine = {
        'cpu_count': os.cpu_count(),
        'device': jax.devices()[0].device_kind,
        'versions': {package: metadata.version(package) for package in packages},
    }
    for n_items in args.items:
        tokens = unique_tokens(n_items, seed=0)
        start = time.perf_counter()
        trie = jax.block_until_ready(build_trie(tokens))
        figure = {
            'benchmark': 'trie_build',
            'items': n_items,
            'seconds': round(time.perf_counter() - start, 3),
            'mebibytes': round(sum(leaf.nbytes for leaf in jax.tree.leaves(trie)) / 2**20, 1),
        }
        print(json.dumps(figure | machine), flush=True)
        for beam_size in args.beams:
            shape = (tokens, args.users, beam_size)
            constraints = {
                'llmrec_jax': our_constraint(*shape, filtered=False),
                'llmrec_jax, seen and allowed': our_constraint(*shape, filtered=True),
            }
            if 'transformers' in packages:
                constraints['transformers'] = transformers_constraint(*shape)
            for name, run in constraints.items():
                figure = {
                    'benchmark': 'trie_constraint',
                    'constraint': name,
                    'items': n_items,
                    'beam_size': beam_size,
                    **median_ms_per_user(run, args.users, args.repeats),
                }
                print(json.dumps(figure | machine), flush=True)


if __name__ == '__main__':
    main()
