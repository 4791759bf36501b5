"""Formats and readers of materialised examples against what a training step consumes: one JSON line a figure.

    python benchmarks/input_pipeline.py --examples=200000 --steps=8

The examples are random tokens of TIGER's lengths: a user token and one to twenty items of four codes, a
target of four. Every reader gives batches of 256, shuffled over the whole store and padded: 'columns' is
what training reads, by row numbers from Grain's shuffle; the others are the same rows through Grain, one at
a time, and the same examples in ArrayRecord files. 'prefetched' hands the columns' batches to a consumer on
another thread, by Grain's iterator. 'consumed' is what training takes, the input included. Rates are by the
clock and by the processor's time, because the first depends on what else runs on the machine.
"""

import argparse
import json
import pathlib
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import grain
import numpy as np
from array_record.python.array_record_module import ArrayRecordWriter

from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5 import T5Config, Transformer
from llmrec_jax.training.batches import Batches
from llmrec_jax.training.columns import ColumnStore, write_columns
from llmrec_jax.training.mesh import MeshShape
from llmrec_jax.training.optimizers import AdamW
from llmrec_jax.training.schedules import Constant
from llmrec_jax.training.trainer import Trainer

VOCABULARY, LEVELS, ITEMS = 3072, 4, 20
LENGTHS = {'inputs': 1 + LEVELS * ITEMS, 'targets': LEVELS}
BATCH = 256
NETWORKS = {
    'tiny': {'emb_dim': 64, 'num_heads': 4, 'head_dim': 16, 'mlp_dim': 256, 'layers': 2},
    'width 128': {'emb_dim': 128, 'num_heads': 6, 'head_dim': 64, 'mlp_dim': 1024, 'layers': 4},
}


def write_examples(folder: pathlib.Path, count: int) -> dict[int, ColumnStore]:
    """The same examples as columns in one shard and in sixteen."""
    random = np.random.default_rng(0)
    lengths = 1 + LEVELS * random.integers(1, ITEMS + 1, count)
    features = {
        'inputs': np.split(random.integers(3, VOCABULARY, lengths.sum()), np.cumsum(lengths)[:-1]),
        'targets': list(random.integers(3, VOCABULARY, (count, LEVELS))),
    }
    return {shards: write_columns(folder / f'columns_{shards}', features, {}, shards) for shards in (1, 16)}


def write_records(folder: pathlib.Path, store: ColumnStore) -> list[str]:
    """The examples as ArrayRecord files: the inputs' length, inputs, targets, all int32."""
    paths = [str(folder / f'examples-{shard:05d}-of-00016.array_record') for shard in range(16)]
    for shard, path in enumerate(paths):
        # Groups of one record: the fastest to read at random, as ArrayRecord's documentation says.
        writer = ArrayRecordWriter(path, 'group_size:1')
        for row in range(shard, len(store), len(paths)):
            example = store[row]
            length = np.array([len(example['inputs'])], np.int32)
            writer.write(np.concatenate([length, example['inputs'], example['targets']]).tobytes())
        writer.close()
    return paths


def decoded(record: bytes) -> dict[str, np.ndarray]:
    content = np.frombuffer(record, np.int32)
    return {'inputs': content[1 : 1 + content[0]], 'targets': content[1 + content[0] :]}


def padded(example: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.pad(example[name], (0, length - len(example[name]))) for name, length in LENGTHS.items()}


def through_grain(source: Any, decode: Callable[[Any], Any], threads: int) -> Iterator[Any]:
    dataset = grain.MapDataset.source(source).shuffle(seed=0).repeat().map(decode).map(padded).batch(BATCH)
    return iter(dataset.to_iter_dataset(grain.ReadOptions(threads, prefetch_buffer_size=2 * threads)))


def record_batches(source: Any, batches: Batches) -> Iterator[dict[str, np.ndarray]]:
    """ArrayRecord's reading of many records at once, by the same row numbers as the columns."""
    for step in range(10**9):
        rows = [padded(decoded(record)) for record in source.__getitems__(batches.rows(step).tolist())]
        yield {name: np.stack([row[name] for row in rows]) for name in LENGTHS}


def prefetched(batches: Batches, threads: int) -> Iterator[Any]:
    steps = grain.MapDataset.range(10**9).map(batches.batch)
    return iter(steps.to_iter_dataset(grain.ReadOptions(threads, prefetch_buffer_size=2 * threads)))


def rates(batches: Iterable[Any], seconds: float) -> dict[str, float]:
    """Examples a second of the clock and of the processor, over `seconds` after a first batch."""
    iterator = iter(batches)
    next(iterator)
    wall, cpu, count = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - wall < seconds:
        next(iterator)
        count += BATCH
    return {
        'examples_per_second': round(count / (time.perf_counter() - wall)),
        'examples_per_cpu_second': round(count / (time.process_time() - cpu)),
    }


def consumed(store: ColumnStore, network: str, steps: int, workdir: pathlib.Path) -> dict[str, float]:
    """Training's own rate, compilation left out."""
    size = dict(NETWORKS[network])
    layers = size.pop('layers')
    config = T5Config(VOCABULARY, num_encoder_layers=layers, num_decoder_layers=layers, **size)
    trainer = Trainer(
        steps,
        LENGTHS,
        AdamW(Constant(1e-3)),
        batch_size=BATCH,
        microbatches=4,
        length_buckets=(33, 57),
        mesh=MeshShape(data=1),
        checkpoint_every=steps,
    )
    result = trainer.fit(EncoderDecoderModel(Transformer(config)), store, workdir)
    return {'examples_per_second': round(result.examples_per_second, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--examples', type=int, default=200_000)
    parser.add_argument('--seconds', type=float, default=2.0, help='of each reader')
    parser.add_argument('--steps', type=int, default=8, help='of training; 0 for none')
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        stores = write_examples(folder, flags.examples)
        batches = {shards: Batches(store, BATCH, LENGTHS) for shards, store in stores.items()}
        source = grain.sources.ArrayRecordDataSource(write_records(folder, stores[1]))
        readers: dict[str, Iterable[Any]] = {
            'columns, 1 shard': map(batches[1].batch, range(10**9)),
            'columns, 16 shards': map(batches[16].batch, range(10**9)),
            'columns, 16 shards, prefetched by 1 thread': prefetched(batches[16], 1),
            'columns, 16 shards, prefetched by 2 threads': prefetched(batches[16], 2),
            'columns, row by row through grain, 2 threads': through_grain(stores[16], dict, 2),
            'array_record, 256 rows at once': record_batches(source, batches[16]),
            'array_record, row by row through grain, 2 threads': through_grain(source, decoded, 2),
        }
        for reader, iterator in readers.items():
            print(json.dumps({'reader': reader, **rates(iterator, flags.seconds)}), flush=True)
        for network in NETWORKS if flags.steps else ():
            found = consumed(stores[16], network, flags.steps, folder / network.replace(' ', '_'))
            print(json.dumps({'consumed': f'TIGER, {network}, batch {BATCH}', **found}), flush=True)


if __name__ == '__main__':
    main()
