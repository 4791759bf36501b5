"""Training on a GPU against transformers in PyTorch: one JSON line a comparison.

    python benchmarks/accelerator_training.py --data ../shared/data
    python benchmarks/accelerator_training.py --smoke

TIGER on Amazon Beauty at widths 128 and 384, and fine-tuning of Flan-T5 base on titles of Beauty's
histories: random tokens, real lengths, stored as `llmrec_jax.materialise` stores a task. Both sides train
in turns in one process, in bfloat16 with float32 parameters, AdamW and dropout; transformers with
torch.compile and PyTorch's fused AdamW. 'equal_work' pads every example in full on both sides.
'true_lengths' lets each side pad as it does: the engine sorts a batch into microbatches of a few lengths,
transformers' collator pads a batch to its longest example, rounded up so that few shapes are compiled.
Utilisation is that of the FLOPs of real tokens (of all tokens in 'equal_work'), over the peak of the chip.

Needs jax with CUDA, flax, optax, grain, jaxtyping, clu, and torch with CUDA and transformers; `true_lengths`
of Flan-T5 needs sentencepiece. No TensorFlow is imported. `--smoke` runs tiny shapes anywhere, without data.
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

# Both frameworks share one GPU, of which JAX would take most of the memory at once.
os.environ.setdefault('XLA_PYTHON_CLIENT_PREALLOCATE', 'false')

import jax
import numpy as np
import torch
import transformers
from accelerator_workloads import Workload, flan_t5_base, read_histories, read_title_tokens, smoke, tiger

from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5 import Transformer
from llmrec_jax.models.t5.flops import train_flops
from llmrec_jax.training.batches import Batches, Shape
from llmrec_jax.training.chips import chip_of
from llmrec_jax.training.columns import ColumnStore, write_columns
from llmrec_jax.training.mesh import STANDARD_RULES, MeshShape, batch_sharding, place
from llmrec_jax.training.optimizers import AdamW
from llmrec_jax.training.schedules import Constant
from llmrec_jax.training.step import compile_step
from llmrec_jax.training.train_state import abstract_state, initial_state

LEARNING_RATE, WEIGHT_DECAY = 1e-3, 0.01
# Turns of each side that are not counted: compilation, then allocators that warm up.
WARM_UP = 2


def our_side(
    workload: Workload, columns: ColumnStore, microbatches: int, buckets: tuple[int, ...]
) -> tuple[Callable[[range], float], Callable[[int], np.ndarray]]:
    """`run(steps) -> seconds` of the embedded engine, and the rows that a step trains on."""
    model = EncoderDecoderModel(Transformer(workload.config))
    optimizer = AdamW(Constant(LEARNING_RATE), weight_decay=WEIGHT_DECAY, clip_norm=None).build()
    batches = Batches(columns, workload.batch_size, workload.feature_lengths, microbatches, buckets)
    mesh = MeshShape(data=1).build()
    placement = batch_sharding(mesh, STANDARD_RULES)

    def shapes(shape: Shape) -> dict[str, jax.ShapeDtypeStruct]:
        widths = batches.padded_lengths(shape)
        blank = {name: np.zeros((batches.microbatch_size, width), np.int32) for name, width in widths.items()}
        return {
            name: jax.ShapeDtypeStruct(feature.shape, feature.dtype, sharding=placement)
            for name, feature in model.convert_features(blank).items()
        }

    features = {shape: shapes(shape) for shape in batches.shapes}
    widest = features[batches.shapes[-1]]
    with jax.set_mesh(mesh):
        abstract = abstract_state(model, optimizer, widest, mesh, STANDARD_RULES)
        state = initial_state(model, optimizer, widest, 0, abstract, STANDARD_RULES)
        train = compile_step(
            model, optimizer, abstract, features, STANDARD_RULES, 0, 'unsafe_rbg', microbatches=microbatches
        )
    held = [state]

    def run(steps: range) -> float:
        start = time.perf_counter()
        for step in steps:
            parts = [
                (part.shape, place(model.convert_features(part.features), placement))
                for part in batches.batch(step)
            ]
            held[0], metrics = train(held[0], step, parts)
        jax.block_until_ready(metrics)
        return time.perf_counter() - start

    return run, batches.rows


def their_side(
    workload: Workload, columns: ColumnStore, rows_of: Callable[[int], np.ndarray], pad_in_full: bool
) -> Callable[[range], float]:
    """`run(steps) -> seconds` of the network that transformers has."""
    config = workload.config
    gated = len(config.mlp_activations) > 1
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    torch.manual_seed(0)
    network = transformers.T5ForConditionalGeneration(
        transformers.T5Config(
            vocab_size=config.vocab_size,
            d_model=config.emb_dim,
            num_heads=config.num_heads,
            d_kv=config.head_dim,
            d_ff=config.mlp_dim,
            num_layers=config.num_encoder_layers,
            num_decoder_layers=config.num_decoder_layers,
            dropout_rate=config.dropout_rate,
            feed_forward_proj='gated-gelu' if gated else 'relu',
            tie_word_embeddings=config.logits_via_embedding,
            decoder_start_token_id=0,
            use_cache=False,
        )
    )
    network.train().to(device)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=device == 'cuda'
    )

    @torch.compile
    def loss_of(tokens, mask, labels):
        with torch.autocast(device, torch.bfloat16):
            return network(input_ids=tokens, attention_mask=mask, labels=labels).loss

    def padded(feature: str, rows: np.ndarray) -> torch.Tensor:
        full = workload.feature_lengths[feature]
        longest = int(columns.lengths(feature, rows).max())
        rounded = min(-(-longest // workload.pad_to) * workload.pad_to, full)
        length = full if pad_in_full else rounded
        array = torch.from_numpy(columns.batch(rows, {feature: length})[feature].astype(np.int64))
        return array.pin_memory().to(device, non_blocking=True) if device == 'cuda' else array

    def run(steps: range) -> float:
        start = time.perf_counter()
        for step in steps:
            rows = rows_of(step)
            tokens, labels = padded('inputs', rows), padded('targets', rows)
            loss = loss_of(tokens, tokens != 0, labels.masked_fill(labels == 0, -100))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        loss.item()
        return time.perf_counter() - start

    return run


def figures(examples_per_s: np.ndarray, flops: np.ndarray, seconds: np.ndarray) -> dict[str, float]:
    chip = chip_of(jax.devices()[0].device_kind)
    rate = float(np.median(flops / seconds))
    utilization = {} if chip is None else {'mfu': round(rate / chip.peak_flops, 4)}
    return {
        'examples_per_s': round(float(np.median(examples_per_s)), 1),
        'slowest': round(float(examples_per_s.min()), 1),
        'fastest': round(float(examples_per_s.max()), 1),
        'model_tflops_per_s': round(rate / 1e12, 4),
        **utilization,
    }


def compare(workload: Workload, padding: str, args: argparse.Namespace) -> dict[str, object]:
    """Trains with both sides in turns of several steps; what is timed includes making and moving batches."""
    in_full = padding == 'equal_work'
    random, config = np.random.default_rng(args.seed), workload.config
    lengths = workload.lengths[random.permutation(len(workload.lengths))[: args.examples]]
    if in_full:
        lengths = np.tile(
            [workload.feature_lengths[name] for name in ('inputs', 'targets')], (len(lengths), 1)
        )
    examples = {
        name: [random.integers(1, config.vocab_size, length) for length in lengths[:, column]]
        for column, name in enumerate(('inputs', 'targets'))
    }
    flops = np.array([train_flops(config, 1, int(i), int(t)) for i, t in lengths])
    with tempfile.TemporaryDirectory() as folder:
        columns = write_columns(pathlib.Path(folder) / 'columns', examples, {})
        microbatches, buckets = (1, ()) if in_full else (workload.microbatches, workload.buckets)
        ours, rows_of = our_side(workload, columns, microbatches, buckets)
        sides = {'llmrec_jax': ours, 'transformers': their_side(workload, columns, rows_of, in_full)}
        taken = {side: [] for side in sides}
        made = []
        for turn in range(args.repeats + WARM_UP):
            steps = range(turn * args.steps, (turn + 1) * args.steps)
            made.append(sum(int(flops[rows_of(step)].sum()) for step in steps))
            for side, run in sides.items():
                taken[side].append(run(steps))
    seconds = {side: np.array(turns[WARM_UP:]) for side, turns in taken.items()}
    counted, work = args.steps * workload.batch_size, np.array(made[WARM_UP:], dtype=float)
    ratios = seconds['transformers'] / seconds['llmrec_jax']
    return {
        'benchmark': 'accelerator_training',
        'comparison': f'{workload.name}/{padding}',
        'batch_size': workload.batch_size,
        'microbatches': microbatches,
        'attention': config.attention,
        'mean_tokens': [round(float(mean), 1) for mean in lengths.mean(axis=0)],
        **{side: figures(counted / turns, work, turns) for side, turns in seconds.items()},
        'times_faster': round(float(np.median(ratios)), 2),
        'times_faster_range': [round(float(ratios.min()), 2), round(float(ratios.max()), 2)],
        'turns': args.repeats,
        'steps_a_turn': args.steps,
        'device': jax.devices()[0].device_kind,
        'versions': {
            package: metadata.version(package) for package in ('jax', 'flax', 'torch', 'transformers')
        },
    }


def workloads(args: argparse.Namespace) -> list[Workload]:
    if args.smoke:
        return [smoke()]
    data = pathlib.Path(args.data)
    if not (data / 'amazon-beauty').is_dir():
        sys.exit(f'{data} has no folder amazon-beauty: name the folder that has with --data, or use --smoke')
    histories = read_histories(data)
    made = [
        tiger(width, histories, args.attention, args.tiger_batch_size)
        for width in (128, 384)
        if f'tiger_{width}' in args.workloads
    ]
    if 'flan_t5_base' in args.workloads:
        made.append(flan_t5_base(histories, read_title_tokens(data), args.attention, args.flan_batch_size))
    return made


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--data', default='../shared/data', metavar='FOLDER')
    parser.add_argument('--workloads', nargs='+', default=['tiger_128', 'tiger_384', 'flan_t5_base'])
    parser.add_argument('--paddings', nargs='+', default=['equal_work', 'true_lengths'])
    parser.add_argument('--tiger_batch_size', type=int, default=1024)
    parser.add_argument('--flan_batch_size', type=int, default=64)
    parser.add_argument('--attention', choices=['plain', 'fused'], default='plain', help='of our side')
    parser.add_argument('--examples', type=int, default=20000)
    parser.add_argument('--steps', type=int, default=10, help='in a turn')
    parser.add_argument('--repeats', type=int, default=7, help='turns that count')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--smoke', action='store_true')
    args = parser.parse_args()
    if args.smoke:
        args.steps, args.repeats = 2, 2

    for workload in workloads(args):
        for padding in args.paddings:
            print(json.dumps(compare(workload, padding, args)), flush=True)
    assert 'tensorflow' not in sys.modules


if __name__ == '__main__':
    main()
