"""Speed of generated text and of ids that are words, one JSON line each: T5-small's shape, random weights.

    python benchmarks/text_generation.py --users 8 --repeats 3

Greedy and sampled texts in tokens a second; beam search in users a second over free text, over the names of
12,101 items and over 100 candidates of each user; likelihoods of those candidates.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from llmrec_jax.decoding.beam import Beam
from llmrec_jax.decoding.name_search import NameSearch
from llmrec_jax.decoding.sampling import Greedy, Sampling
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5 import T5Config, Transformer
from llmrec_jax.semantic_ids.trie import name_trie

N_ITEMS, CANDIDATES, BEAM = 12_101, 100, 20
SMALL = {'emb_dim': 512, 'num_heads': 8, 'head_dim': 64, 'mlp_dim': 2048}
VOCAB = 32_128


def numbered_names(seed: int) -> list[list[int]]:
    """Pieces of 'item_' and a number in pieces of two digits, as a SentencePiece model may cut them."""
    numbers = np.random.default_rng(seed).permutation(N_ITEMS) + 1
    prefix, first_digits = [1183, 834], 20_000

    def pieces(number: str) -> list[int]:
        # The 1 in front tells '0' from '00'.
        return [first_digits + int(f'1{number[place : place + 2]}') for place in range(0, len(number), 2)]

    return [[*prefix, *pieces(str(number))] for number in numbers.tolist()]


def timed(run: Callable[[], Any], repeats: int) -> tuple[float, list[float], Any]:
    """Seconds of the first call, which compiles, then of each of `repeats`; and what came out."""
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        found = jax.block_until_ready(run())
        seconds.append(time.perf_counter() - start)
    return seconds[0], seconds[1:], found


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--users', type=int, default=8)
    parser.add_argument('--input-tokens', type=int, default=128)
    parser.add_argument('--max-length', type=int, default=64)
    parser.add_argument('--layers', type=int, default=6)
    parser.add_argument('--repeats', type=int, default=3)
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()

    layers = {'num_encoder_layers': args.layers, 'num_decoder_layers': args.layers}
    config = T5Config(VOCAB, **SMALL, **layers, logits_via_embedding=True)
    model = EncoderDecoderModel(Transformer(config), decode_fn=NameSearch(beam_size=BEAM))
    random = np.random.default_rng(args.seed)
    shapes = {'encoder_input_tokens': (1, 8), 'decoder_input_tokens': (1, 8)}
    params = jax.jit(lambda key: model.get_initial_variables(key, shapes)['params'])(
        jax.random.key(args.seed)
    )
    inputs = random.integers(2, VOCAB, (args.users, args.input_tokens))
    batch = {
        name: jnp.asarray(feature) for name, feature in model.convert_features({'inputs': inputs}).items()
    }

    pieces = numbered_names(args.seed)
    trie = name_trie(pieces)
    rows = np.zeros((N_ITEMS, trie.levels), np.int32)
    for row, name in zip(rows, pieces):
        row[: len(name) + 1] = [*name, 1]
    candidates = random.permuted(np.tile(np.arange(N_ITEMS), (args.users, 1)), axis=1)[:, :CANDIDATES]
    candidates = jnp.asarray(candidates, jnp.int32)
    candidate_tokens = jnp.asarray(rows)[candidates]

    generate = jax.jit(model.generate, static_argnames='decoder')
    recommend, score = jax.jit(model.recommend), jax.jit(model.score_candidates)
    key = jax.random.key(args.seed)
    greedy, sampling = Greedy(args.max_length), Sampling(args.max_length, top_p=0.9)
    runs = {
        'greedy': lambda: generate(params, batch, greedy),
        'sampling, top_p 0.9': lambda: generate(params, batch, sampling, key),
        f'beam {BEAM}, free text of {trie.levels} tokens': lambda: generate(
            params, batch, Beam(trie.levels, BEAM)
        ),
        f'beam {BEAM}, {N_ITEMS} names': lambda: recommend(params, batch, trie),
        f'beam {BEAM}, {CANDIDATES} candidates': lambda: recommend(
            params, batch, trie, candidates=candidates
        ),
        f'likelihood of {CANDIDATES} candidates': lambda: score(params, batch, candidate_tokens),
    }
    for name, run in runs.items():
        first, seconds, found = timed(run, args.repeats)
        figure = {
            'benchmark': 'text_generation',
            'decoder': name,
            'users': args.users,
            'input_tokens': args.input_tokens,
            'layers': args.layers,
            'users_per_s': round(args.users / float(np.median(seconds)), 2),
            'slowest': round(args.users / max(seconds), 2),
            'fastest': round(args.users / min(seconds), 2),
            'first_call_s': round(first, 1),
        }
        if name in ('greedy', 'sampling, top_p 0.9'):
            tokens = int(np.sum(found.lengths))
            figure |= {'tokens': tokens, 'tokens_per_s': round(tokens / float(np.median(seconds)), 1)}
        figure |= {
            'repeats': args.repeats,
            'cpu_count': os.cpu_count(),
            'device': jax.devices()[0].device_kind,
            'jax': metadata.version('jax'),
        }
        print(json.dumps(figure), flush=True)


if __name__ == '__main__':
    main()
