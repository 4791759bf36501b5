"""ScaNN against exact search by catalogue size: recall, speed, build time and memory, one JSON line an index.

python benchmarks/scann_retrieval.py --items 12000 100000
python benchmarks/scann_retrieval.py --items 1000000 --vectors clustered --indexes exact scann_tuned
"""

import argparse
import dataclasses
import json
import os
import time
from collections.abc import Callable
from importlib import metadata

import jax
import numpy as np
import psutil

from llmrec_jax.retrieval.exact import ExactSearch, recall_against_exact
from llmrec_jax.retrieval.retriever import VectorIndex
from llmrec_jax.retrieval.scann_index import ScannIndex, ScannSettings
from llmrec_jax.retrieval.scann_tuning import ScannTuning, tuned_index

K = 10
CENTRES = 200
TUNING_QUERIES = 2000
# About as many as the test users of Amazon Beauty.
EVALUATION_QUERIES = 20_000
TREE = ScannSettings(brute_force_below=0)
BRUTE_FORCE = ScannSettings(brute_force_below=np.iinfo(np.int64).max)
# From item vectors, queries to tune with, and the recall to tune to.
INDEXES: dict[str, Callable[[np.ndarray, np.ndarray, float], VectorIndex]] = {
    'exact': lambda vectors, _, __: ExactSearch(vectors),
    'scann_brute_force': lambda vectors, _, __: ScannIndex.build(vectors, settings=BRUTE_FORCE),
    'scann_tree': lambda vectors, _, __: ScannIndex.build(vectors, settings=TREE),
    'scann_tuned': lambda vectors, queries, recall: tuned_index(
        vectors, queries, tuning=ScannTuning(recall, K)
    ),
}


def unit_vectors(kind: str, n: int, dim: int, seed: int) -> np.ndarray:
    """'clustered' falls around centres, as item texts into categories; 'gaussian' is the worst case."""
    noise = np.random.default_rng(seed).normal(size=(n, dim))
    if kind == 'clustered':
        centres = np.random.default_rng(0).normal(size=(CENTRES, dim))
        noise = centres[np.random.default_rng(seed + 1).integers(0, CENTRES, n)] + 0.5 * noise
    return (noise / np.linalg.norm(noise, axis=1, keepdims=True)).astype(np.float32)


def queries_per_second(index: VectorIndex, queries: np.ndarray, seconds: float) -> float:
    index.search(queries, K)
    start, rounds = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        index.search(queries, K)
        rounds += 1
    return rounds * len(queries) / (time.perf_counter() - start)


def single_query_ms(index: VectorIndex, queries: np.ndarray) -> list[float]:
    index.search(queries[:1], K)
    times = []
    for row in range(min(len(queries), 300)):
        start = time.perf_counter()
        index.search(queries[row : row + 1], K)
        times.append(1e3 * (time.perf_counter() - start))
    return [round(float(np.percentile(times, share)), 3) for share in (50, 99)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('--items', type=int, nargs='+', default=[12_000, 100_000])
    parser.add_argument('--dim', type=int, default=64)
    parser.add_argument('--queries', type=int, default=1000)
    parser.add_argument('--vectors', nargs='+', default=['clustered', 'gaussian'])
    parser.add_argument('--indexes', nargs='+', choices=INDEXES, default=list(INDEXES))
    parser.add_argument('--recall', type=float, default=0.95, help='what scann_tuned is tuned to')
    parser.add_argument('--seconds', type=float, default=3.0, help='measuring time of each speed')
    args = parser.parse_args()
    machine = {
        'cpu_count': os.cpu_count(),
        'device': jax.devices()[0].device_kind,
        **{package: metadata.version(package) for package in ('jax', 'scann')},
    }
    process = psutil.Process()
    for n in args.items:
        for kind in args.vectors:
            vectors = unit_vectors(kind, n, args.dim, seed=1)
            queries = unit_vectors(kind, args.queries, args.dim, seed=3)
            for_tuning = unit_vectors(kind, TUNING_QUERIES, args.dim, seed=5)
            exact = ExactSearch(vectors)
            for name in args.indexes:
                before, start = process.memory_info().rss, time.perf_counter()
                index = INDEXES[name](vectors, for_tuning, args.recall)
                build_seconds = time.perf_counter() - start
                memory = process.memory_info().rss - before
                speed = queries_per_second(index, queries, args.seconds)
                figure = {
                    'benchmark': 'scann_retrieval',
                    'index': name,
                    'vectors': kind,
                    'items': n,
                    'dim': args.dim,
                    'recall_at_10': round(recall_against_exact(index, exact, queries, K), 4),
                    'queries_per_second': round(speed),
                    'single_query_ms_p50_p99': single_query_ms(index, queries),
                    'build_seconds': round(build_seconds, 3),
                    'build_and_20000_queries_seconds': round(build_seconds + EVALUATION_QUERIES / speed, 2),
                    'memory_mb': round(memory / 2**20),
                    'load': os.getloadavg()[0],
                    **machine,
                }
                if isinstance(index, ScannIndex) and not index.layout.brute_force:
                    figure['layout'] = dataclasses.asdict(index.layout)
                if isinstance(index, ScannIndex) and index.recall is not None:
                    figure['tuned'] = dataclasses.asdict(index.recall)
                print(json.dumps(figure), flush=True)


if __name__ == '__main__':
    main()
