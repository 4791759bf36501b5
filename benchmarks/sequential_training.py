"""SASRec's training step against PyTorch's of the same shape: one JSON line a comparison.

    python benchmarks/sequential_training.py --sequences ../shared/data/amazon-beauty

Same network (width 64, two blocks, 50 positions, 12,101 items), same batches, Adam and dropout on both
sides, in turns in one process on the CPU. Before the first turn both compute the loss of one batch with the
same parameters; `loss_difference` is how far they are apart. 'full' has sequences of 51 items, 'beauty' the
training histories of Amazon Beauty, of about seven. The embedded engine cuts a batch into microbatches padded
to a few lengths; PyTorch pads a batch to its longest sequence, and takes the loss at real positions alone.
Where other programs want the cores, threads that wait for one another make the seconds those of the load: run
it on one core (`taskset -c 0 python ...`), and go by the seconds on the core. Needs the `parity` extra.
"""

import argparse
import json
import os
import pathlib
import sys
import time
from collections.abc import Callable
from importlib import metadata

import jax
import numpy as np
import torch
from torch_sasrec import LOSSES, SOFTMAX, SASRec

from llmrec_jax.corpora.sequence_files import SequenceFiles
from llmrec_jax.corpora.splits import leave_last_out
from llmrec_jax.models.sequential.item_encoder import CatalogueFacts, ItemTable
from llmrec_jax.models.sequential.losses import BinaryCrossEntropy, FullSoftmax
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel, padded_left
from llmrec_jax.models.sequential.sasrec import SASRecConfig, SASRecEncoder
from llmrec_jax.training import host_memory
from llmrec_jax.training.batches import Batches
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.mesh import STANDARD_RULES, MeshShape, batch_sharding, place
from llmrec_jax.training.optimizers import AdamW
from llmrec_jax.training.schedules import Constant
from llmrec_jax.training.step import compile_step
from llmrec_jax.training.train_state import abstract_state, initial_state

FULL, BEAUTY = 'full', 'beauty'
ITEMS, DIM = 12101, 64
CONFIG = SASRecConfig(max_length=50, num_layers=2, num_heads=2, dropout_rate=0.5)
WIDTH = CONFIG.max_length + 1
# As gin_configs/sasrec/amazon_beauty.gin has them.
MICROBATCHES, BUCKETS, POSITIONS_AT_ONCE = 4, (5, 9, 17), 64
LEARNING_RATE, B2 = 1e-3, 0.98
# Batches in an epoch of Beauty, which the full sequences are as many as.
EPOCH = 88
# Turns of each side before those that count: the heap that both share has its size after the third.
WARMING = 3
# The threads of the side that ran last go on spinning for a while.
SETTLE_S = 0.5


def full_sequences(batches: int, batch_size: int, seed: int) -> list[np.ndarray]:
    """Items drawn at random, as many as the network reads and one to be predicted."""
    return list(np.random.default_rng(seed).integers(1, ITEMS + 1, (batches * batch_size, WIDTH)))


def training_histories(directory: str) -> list[np.ndarray]:
    """The last items of every training history, as tokens."""
    train = leave_last_out(SequenceFiles(directory).build()).train
    return [train[row][-WIDTH:] + 1 for row in np.flatnonzero(train.lengths > 1)]


class OurSide:
    """The embedded engine's step, and the batches it trains on."""

    def __init__(self, examples: list[np.ndarray], loss: str, batch_size: int, short: bool):
        softmax = FullSoftmax(POSITIONS_AT_ONCE) if short else FullSoftmax()
        judged = softmax if loss == SOFTMAX else BinaryCrossEntropy(outside_sequence=False)
        model = SequentialRecommenderModel(ItemTable(DIM), SASRecEncoder(CONFIG), judged)
        self.model = model.for_catalogue(CatalogueFacts(ITEMS))
        columns = ColumnStore.in_memory({'items': examples})
        microbatches, buckets = (MICROBATCHES, BUCKETS) if short else (1, ())
        self.batches = Batches(columns, batch_size, {'items': WIDTH}, microbatches, buckets, 'items')
        mesh = MeshShape(data=1).build()
        self.placement = batch_sharding(mesh, STANDARD_RULES)
        optimizer = AdamW(Constant(LEARNING_RATE), b2=B2, clip_norm=None).build()
        rows = self.batches.microbatch_size
        shapes = {
            shape: {'items': jax.ShapeDtypeStruct((rows, shape[0]), np.int32, sharding=self.placement)}
            for shape in self.batches.shapes
        }
        with jax.set_mesh(mesh):
            widest = shapes[self.batches.shapes[-1]]
            abstract = abstract_state(self.model, optimizer, widest, mesh, STANDARD_RULES)
            self.state = initial_state(self.model, optimizer, widest, 0, abstract, STANDARD_RULES)
            self.step = compile_step(
                self.model,
                optimizer,
                abstract,
                shapes,
                STANDARD_RULES,
                seed=0,
                dropout_bits='threefry2x32',
                microbatches=microbatches,
            )

    def run(self, step: int) -> None:
        """An update, its batch made included."""
        parts = [
            (part.shape, place(self.model.convert_features(part.features), self.placement))
            for part in self.batches.batch(step)
        ]
        self.state, metrics = self.step(self.state, step, parts)
        jax.block_until_ready(metrics)


class TheirSide:
    """The same in PyTorch, from the same parameters."""

    def __init__(self, params: dict, loss: str):
        torch.manual_seed(0)
        self.loss = loss
        self.network = SASRec(ITEMS, DIM, CONFIG).train()
        self.network.load(params)
        self.optimizer = torch.optim.Adam(self.network.parameters(), LEARNING_RATE, (0.9, B2), fused=True)

    def run(self, examples: list[np.ndarray]) -> None:
        """An update, its batch made included."""
        longest = max(map(len, examples))
        padded = padded_left(np.stack([np.pad(row, (0, longest - len(row))) for row in examples]))
        self.optimizer.zero_grad()
        self.network.loss(torch.from_numpy(padded), self.loss).backward()
        self.optimizer.step()


def loss_difference(ours: OurSide, theirs: TheirSide, examples: list[np.ndarray]) -> float:
    """How far the two losses of a batch are apart, dropout off; over all items, so that nothing is drawn."""
    padded = padded_left(np.stack([np.pad(row, (0, WIDTH - len(row))) for row in examples]))
    model = SequentialRecommenderModel(ours.model.item_encoder, ours.model.sequence_encoder, FullSoftmax())
    total, weight, _ = jax.jit(model.loss_sums)(ours.state.params, {'items': padded})
    with torch.no_grad():
        expected = theirs.network.eval().loss(torch.from_numpy(padded), SOFTMAX)
    theirs.network.train()
    return abs(float(total / weight) - float(expected))


def timed(turn: Callable[[], None]) -> tuple[float, float]:
    """Seconds that a turn took, and seconds of all its threads on a core."""
    time.sleep(SETTLE_S)
    start, start_on_core = time.perf_counter(), time.process_time()
    turn()
    return time.perf_counter() - start, time.process_time() - start_on_core


def rates(seconds: np.ndarray, batch_size: int) -> dict[str, float]:
    """Of the turns' seconds [turns, 2]."""
    per_second = batch_size / seconds[:, 0]
    return {
        'sequences_per_s': round(float(np.median(per_second)), 1),
        'slowest': round(float(per_second.min()), 1),
        'fastest': round(float(per_second.max()), 1),
        'core_seconds': round(float(np.median(seconds[:, 1])), 3),
    }


def compare(name: str, examples: list[np.ndarray], loss: str, args: argparse.Namespace) -> dict[str, object]:
    """Both sides in turns on the same batches."""
    ours = OurSide(examples, loss, args.batch_size, short=name == BEAUTY)
    theirs = TheirSide(jax.tree.map(np.asarray, ours.state.params), loss)
    difference = loss_difference(ours, theirs, examples[: args.batch_size])
    turns = []
    for step in range(WARMING + args.repeats):
        rows = [examples[row] for row in ours.batches.rows(step)]
        turns.append((timed(lambda step=step: ours.run(step)), timed(lambda rows=rows: theirs.run(rows))))
    seconds = np.array(turns[WARMING:])
    ratios, core_ratios = (seconds[:, 1] / seconds[:, 0]).T
    return {
        'benchmark': 'sequential_training',
        'comparison': name,
        'loss': loss,
        'batch_size': args.batch_size,
        'microbatches': ours.batches.microbatches,
        'mean_items': round(float(np.mean([len(row) for row in examples])), 1),
        'loss_difference': float(f'{difference:.1e}'),
        'llmrec_jax': rates(seconds[:, 0], args.batch_size),
        'torch': rates(seconds[:, 1], args.batch_size),
        'times_faster': round(float(np.median(ratios)), 2),
        'times_faster_range': [round(float(ratios.min()), 2), round(float(ratios.max()), 2)],
        'times_fewer_core_seconds': round(float(np.median(core_ratios)), 2),
        'repeats': args.repeats,
        'cores': len(os.sched_getaffinity(0)),
        'load_average': round(os.getloadavg()[0], 1),
        'device': jax.devices()[0].device_kind,
        'versions': {package: metadata.version(package) for package in ('jax', 'torch')},
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--sequences', default='../shared/data/amazon-beauty', metavar='DIRECTORY')
    parser.add_argument('--comparisons', nargs='+', choices=[FULL, BEAUTY], default=[FULL, BEAUTY])
    parser.add_argument('--losses', nargs='+', choices=LOSSES, default=list(LOSSES))
    parser.add_argument('--batch_size', type=int, default=256)
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()

    # As the launchers do. It is for the whole process: PyTorch has the good of it too.
    host_memory.keep(os.environ)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    examples: dict[str, Callable[[], list[np.ndarray]]] = {
        FULL: lambda: full_sequences(EPOCH, args.batch_size, args.seed),
        BEAUTY: lambda: training_histories(args.sequences),
    }
    if BEAUTY in args.comparisons and not pathlib.Path(args.sequences).is_dir():
        sys.exit(f'{args.sequences} is no folder of sequence files: name one with --sequences')
    for name in args.comparisons:
        of_comparison = examples[name]()
        for loss in args.losses:
            print(json.dumps(compare(name, of_comparison, loss, args)), flush=True)


if __name__ == '__main__':
    main()
