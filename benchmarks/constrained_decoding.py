"""Constrained beam search against transformers' `generate` on the same weights: users a second, one JSON line
each.

    python benchmarks/constrained_decoding.py --beams 10 20 50

Both sides search the same 12,101 items for the same 32 users with the same random weights, in turns, in one
process. Needs the `parity` extra.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from importlib import metadata

import jax
import jax.numpy as jnp
import numpy as np
import torch
import transformers

from llmrec_jax.decoding.semantic_id_search import SemanticIdSearch
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.hf_weights import load_hf
from llmrec_jax.models.t5 import T5Config, Transformer
from llmrec_jax.semantic_ids.token_layout import TokenLayout
from llmrec_jax.semantic_ids.trie import build_trie

N_ITEMS = 12_101
LAYOUT = TokenLayout(codebook_sizes=(256, 256, 256, 256), user_tokens=2000, multiple_of=1)
HISTORY_ITEMS = 20
# The threads of the side that ran last go on spinning for a while.
SETTLE_S = 0.5


def unique_codes(n_items: int, seed: int) -> np.ndarray:
    """Random distinct codes: a flatter, harder trie than that of learned ones."""
    flat = np.random.default_rng(seed).choice(256**4, size=n_items, replace=False)
    return np.stack(np.unravel_index(flat, LAYOUT.codebook_sizes), axis=-1)


def random_histories(item_tokens: np.ndarray, users: int, seed: int) -> np.ndarray:
    """A user token and the tokens of twenty items: 81 encoder tokens."""
    random = np.random.default_rng(seed)
    items = random.integers(0, len(item_tokens), (users, HISTORY_ITEMS))
    user_tokens = LAYOUT.user_offset + random.integers(0, LAYOUT.user_tokens, (users, 1))
    return np.concatenate([user_tokens, item_tokens[items].reshape(users, -1)], axis=1).astype(np.int32)


def transformers_search(
    model: transformers.T5ForConditionalGeneration,
    inputs: np.ndarray,
    item_tokens: np.ndarray,
    beam_size: int,
) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    """`generate` with the usual dict trie behind `prefix_allowed_tokens_fn`."""
    children: dict[tuple[int, ...], list[int]] = {}
    for row in sorted(map(tuple, item_tokens.tolist())):
        for level, token in enumerate(row):
            following = children.setdefault(row[:level], [])
            if not following or following[-1] != token:
                following.append(token)
    encoder_inputs = torch.tensor(inputs, dtype=torch.long)
    users, levels = len(inputs), item_tokens.shape[1]

    def allowed_tokens(user: int, generated: torch.Tensor) -> list[int]:
        return children[tuple(generated[1:].tolist())]

    def search() -> tuple[np.ndarray, np.ndarray]:
        with torch.inference_mode():
            found = model.generate(
                encoder_inputs,
                attention_mask=torch.ones_like(encoder_inputs),
                num_beams=beam_size,
                num_return_sequences=beam_size,
                max_new_tokens=levels,
                length_penalty=0.0,
                prefix_allowed_tokens_fn=allowed_tokens,
                return_dict_in_generate=True,
                output_scores=True,
            )
        tokens = found.sequences[:, 1:].numpy().reshape(users, beam_size, levels)
        return tokens, found.sequences_scores.numpy().reshape(users, beam_size)

    return search


def our_search(
    params: dict, config: T5Config, inputs: np.ndarray, item_tokens: np.ndarray, beam_size: int
) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    """Encoder and search as one jitted function of parameters, users and trie."""
    searcher = SemanticIdSearch(beam_size=beam_size)
    recommend = jax.jit(EncoderDecoderModel(module=Transformer(config), decode_fn=searcher).recommend)
    trie = build_trie(item_tokens)

    def search() -> tuple[np.ndarray, np.ndarray]:
        beams = recommend(params, {'encoder_input_tokens': jnp.asarray(inputs)}, trie)
        if not beams.valid.all():
            raise AssertionError('a catalogue wider than the beam must fill it')
        return np.asarray(beams.tokens), np.asarray(beams.scores)

    return search


def timed(search: Callable[[], tuple[np.ndarray, np.ndarray]]) -> float:
    time.sleep(SETTLE_S)
    start = time.perf_counter()
    search()
    return time.perf_counter() - start


def agreement(ours: tuple[np.ndarray, np.ndarray], theirs: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    """Shares of users with the same best item and of slots with the same item, and how far the scores
    differ."""
    same_sequence = (ours[0] == theirs[0]).all(axis=-1)
    return {
        'same_top_1': float(same_sequence[:, 0].mean()),
        'same_slots': float(same_sequence.mean()),
        'max_score_difference': float(np.abs(ours[1] - theirs[1]).max()),
    }


def spread(seconds: list[float], users: int) -> dict[str, float]:
    rates = users / np.array(seconds)
    return {
        'users_per_s': round(float(np.median(rates)), 1),
        'slowest': round(float(rates.min()), 1),
        'fastest': round(float(rates.max()), 1),
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--beams', type=int, nargs='+', default=[10, 20])
    parser.add_argument('--users', type=int, default=32)
    parser.add_argument('--repeats', type=int, default=7)
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    torch.set_num_threads(os.cpu_count())
    shape = {
        'num_layers': 4,
        'num_decoder_layers': 4,
        'num_heads': 6,
        'd_kv': 64,
        'd_ff': 1024,
        'd_model': 128,
    }
    peer = transformers.T5ForConditionalGeneration(
        transformers.T5Config(
            vocab_size=LAYOUT.vocab_size, decoder_start_token_id=0, pad_token_id=0, eos_token_id=1, **shape
        )
    ).eval()
    with tempfile.TemporaryDirectory() as directory:
        peer.save_pretrained(directory)
        config, params = load_hf(directory)

    item_tokens = LAYOUT.item_tokens(unique_codes(N_ITEMS, args.seed))
    inputs = random_histories(item_tokens, args.users, args.seed)
    for beam_size in args.beams:
        ours = our_search(params, config, inputs, item_tokens, beam_size)
        theirs = transformers_search(peer, inputs, item_tokens, beam_size)
        same = agreement(ours(), theirs())
        seconds = np.array([(timed(ours), timed(theirs)) for _ in range(args.repeats)])
        ratios = seconds[:, 1] / seconds[:, 0]
        figure = {
            'benchmark': 'constrained_decoding',
            'items': N_ITEMS,
            'users': args.users,
            'encoder_tokens': inputs.shape[1],
            'beam_size': beam_size,
            'llmrec_jax': spread(seconds[:, 0].tolist(), args.users),
            'transformers': spread(seconds[:, 1].tolist(), args.users),
            'times_faster': round(float(np.median(ratios)), 2),
            'times_faster_range': [round(float(ratios.min()), 2), round(float(ratios.max()), 2)],
            **same,
            'repeats': args.repeats,
            'cpu_count': os.cpu_count(),
            'device': jax.devices()[0].device_kind,
            'versions': {package: metadata.version(package) for package in ('jax', 'torch', 'transformers')},
        }
        print(json.dumps(figure), flush=True)


if __name__ == '__main__':
    main()
