"""The training step against transformers' T5 of the same shape: one JSON line a comparison.

    python benchmarks/train_step.py --sequences ../shared/data/amazon-beauty

Same network (TIGER's, width 128), same examples, AdamW and dropout 0.1 on both sides, in turns in one
process. 'equal_work' fills every input to 81 tokens. 'beauty' draws the inputs' lengths as they are: every
prefix of a training history. The embedded engine sorts a batch into microbatches padded to a few lengths;
transformers pads a batch to its longest input, as its collator does. Needs the `parity` extra.
"""

import argparse
import json
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata

import jax
import numpy as np
import torch
import transformers

from llmrec_jax.corpora.sequence_files import SequenceFiles
from llmrec_jax.corpora.splits import leave_last_out
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5 import T5Config, Transformer
from llmrec_jax.training.batches import Batches
from llmrec_jax.training.columns import ColumnStore, write_columns
from llmrec_jax.training.mesh import STANDARD_RULES, MeshShape, batch_sharding, place
from llmrec_jax.training.optimizers import AdamW
from llmrec_jax.training.schedules import Constant
from llmrec_jax.training.step import compile_step
from llmrec_jax.training.train_state import abstract_state, initial_state

VOCABULARY = 3072
LEVELS, HISTORY_ITEMS = 4, 20
FEATURE_LENGTHS = {'inputs': 1 + LEVELS * HISTORY_ITEMS, 'targets': LEVELS}
BUCKETS = (5, 9, 13, 17, 25, 33, 49)
LEARNING_RATE = 1e-3
# The threads of the side that ran last go on spinning for a while.
SETTLE_S = 0.5


def full_lengths(examples: int) -> np.ndarray:
    return np.full(examples, FEATURE_LENGTHS['inputs'])


def prefix_lengths(directory: str) -> np.ndarray:
    """Input tokens of every prefix of a training history: a user token, then the last items."""
    events = leave_last_out(SequenceFiles(directory).build()).train.lengths
    histories = np.concatenate([np.arange(1, length) for length in events])
    return 1 + LEVELS * np.minimum(histories, HISTORY_ITEMS)


def examples_of(lengths: np.ndarray, seed: int) -> dict[str, list[np.ndarray]]:
    """Random tokens of these input lengths."""
    random = np.random.default_rng(seed)
    return {
        'inputs': [random.integers(3, VOCABULARY, length) for length in lengths],
        'targets': [random.integers(3, 1024, LEVELS) for _ in lengths],
    }


def our_steps(
    columns: ColumnStore, batch_size: int, microbatches: int, buckets: tuple[int, ...], dtype: str
) -> tuple[Callable[[int], float], Callable[[int], np.ndarray]]:
    """`run(step) -> seconds` of the embedded engine, and the rows that a step trains on."""
    config = T5Config(
        vocab_size=VOCABULARY,
        emb_dim=128,
        num_heads=6,
        head_dim=64,
        mlp_dim=1024,
        num_encoder_layers=4,
        num_decoder_layers=4,
        dropout_rate=0.1,
        dtype=dtype,
    )
    model = EncoderDecoderModel(Transformer(config))
    optimizer = AdamW(Constant(LEARNING_RATE), weight_decay=0.01, clip_norm=None).build()
    batches = Batches(columns, batch_size, FEATURE_LENGTHS, microbatches, buckets)
    mesh = MeshShape(data=1).build()
    placement = batch_sharding(mesh, STANDARD_RULES)
    shapes = {}
    for shape in batches.shapes:
        blank = {
            name: np.zeros((batches.microbatch_size, width), np.int32)
            for name, width in batches.padded_lengths(shape).items()
        }
        converted = model.convert_features(blank)
        shapes[shape] = {
            name: jax.ShapeDtypeStruct(feature.shape, feature.dtype, sharding=placement)
            for name, feature in converted.items()
        }
    with jax.set_mesh(mesh):
        widest = shapes[batches.shapes[-1]]
        abstract = abstract_state(model, optimizer, widest, mesh, STANDARD_RULES)
        state = initial_state(model, optimizer, widest, 0, abstract, STANDARD_RULES)
        train = compile_step(
            model,
            optimizer,
            abstract,
            shapes,
            STANDARD_RULES,
            seed=0,
            dropout_bits='threefry2x32',
            microbatches=microbatches,
        )
    held = [state]

    def run(step: int) -> float:
        start = time.perf_counter()
        parts = [
            (part.shape, place(model.convert_features(part.features), placement))
            for part in batches.batch(step)
        ]
        held[0], metrics = train(held[0], step, parts)
        jax.block_until_ready(metrics)
        return time.perf_counter() - start

    return run, batches.rows


def their_step(dtype: str) -> Callable[[list[np.ndarray], np.ndarray, int], float]:
    """`run(inputs, targets, microbatches) -> seconds` of the network that transformers has."""
    torch.manual_seed(0)
    network = transformers.T5ForConditionalGeneration(
        transformers.T5Config(
            vocab_size=VOCABULARY,
            d_model=128,
            num_heads=6,
            d_kv=64,
            d_ff=1024,
            num_layers=4,
            num_decoder_layers=4,
            dropout_rate=0.1,
            decoder_start_token_id=0,
        )
    ).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=0.01)

    def run(inputs: list[np.ndarray], targets: np.ndarray, microbatches: int) -> float:
        start = time.perf_counter()
        longest = max(map(len, inputs))
        padded = np.stack([np.pad(row, (0, longest - len(row))) for row in inputs])
        optimizer.zero_grad()
        for rows in np.array_split(np.arange(len(inputs)), microbatches):
            tokens = torch.as_tensor(padded[rows])
            with torch.autocast('cpu', torch.bfloat16, enabled=dtype == 'bfloat16'):
                output = network(
                    input_ids=tokens, attention_mask=tokens != 0, labels=torch.as_tensor(targets[rows])
                )
            (output.loss / microbatches).backward()
        optimizer.step()
        return time.perf_counter() - start

    return run


def rates(seconds: list[float], batch_size: int) -> dict[str, float]:
    per_second = batch_size / np.array(seconds)
    return {
        'examples_per_s': round(float(np.median(per_second)), 1),
        'slowest': round(float(per_second.min()), 1),
        'fastest': round(float(per_second.max()), 1),
    }


def compare(
    name: str, lengths: np.ndarray, buckets: tuple[int, ...], args: argparse.Namespace
) -> dict[str, object]:
    """Both sides in turns; transformers gets one microbatch, then as many as ours: the faster one counts."""
    examples = examples_of(lengths, args.seed)
    with tempfile.TemporaryDirectory() as folder:
        columns = write_columns(pathlib.Path(folder) / 'columns', examples, {})
        ours, rows_of = our_steps(columns, args.batch_size, args.microbatches, buckets, args.dtype)
        theirs = their_step(args.dtype)
        seconds = {'llmrec_jax': [], 'transformers': [], 'transformers_accumulating': []}
        for step in range(args.repeats + 1):
            rows = rows_of(step)
            inputs = [examples['inputs'][row] for row in rows]
            targets = np.stack([examples['targets'][row] for row in rows])
            turns = {
                'llmrec_jax': lambda step=step: ours(step),
                'transformers': lambda i=inputs, t=targets: theirs(i, t, 1),
                'transformers_accumulating': lambda i=inputs, t=targets: theirs(i, t, args.microbatches),
            }
            for side, turn in turns.items():
                time.sleep(SETTLE_S)
                seconds[side].append(turn())
    # The first turn of each side warms its allocator up.
    seconds = {side: taken[1:] for side, taken in seconds.items()}
    ratios = [
        min(plain, accumulating) / mine for mine, plain, accumulating in zip(*seconds.values(), strict=True)
    ]
    return {
        'benchmark': 'train_step',
        'comparison': name,
        'dtype': args.dtype,
        'batch_size': args.batch_size,
        'microbatches': args.microbatches,
        'mean_input_tokens': round(float(np.mean(lengths)), 1),
        **{side: rates(taken, args.batch_size) for side, taken in seconds.items()},
        'times_faster': round(float(np.median(ratios)), 2),
        'times_faster_range': [round(min(ratios), 2), round(max(ratios), 2)],
        'repeats': args.repeats,
        'cpu_count': os.cpu_count(),
        'device': jax.devices()[0].device_kind,
        'versions': {package: metadata.version(package) for package in ('jax', 'torch', 'transformers')},
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--sequences', default='../shared/data/amazon-beauty', metavar='DIRECTORY')
    parser.add_argument('--comparisons', nargs='+', default=['equal_work', 'beauty'])
    parser.add_argument('--batch_size', type=int, default=256)
    parser.add_argument('--microbatches', type=int, default=8)
    parser.add_argument('--dtype', choices=['float32', 'bfloat16'], default='float32')
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()

    torch.set_num_threads(os.cpu_count())
    if 'equal_work' in args.comparisons:
        lengths = full_lengths(2 * args.batch_size)
        print(json.dumps(compare('equal_work', lengths, (), args)), flush=True)
    if 'beauty' in args.comparisons:
        if not pathlib.Path(args.sequences).is_dir():
            sys.exit(f'{args.sequences} is no folder of sequence files: name one with --sequences')
        lengths = prefix_lengths(args.sequences)
        print(json.dumps(compare('beauty', lengths, BUCKETS, args)), flush=True)


if __name__ == '__main__':
    main()
