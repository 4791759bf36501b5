"""How fast P5's prompts are made, beside how fast a T5 small consumes them: one JSON line a figure.

    python benchmarks/prompt_pipeline.py --seconds=5

The prompts are those of the simulated shop, with 100 candidates, cut at P5's 512 and 64 tokens. 'live' is
SeqIO's mixture over the prompts, rendered and tokenized as they are asked for; 'plain Python' renders and
tokenizes the same examples without TensorFlow; 'materialised' is what training reads: batches of the columns
that were kept once. 'consumed' is training T5 1.0 small (60 M parameters) on the same batches, the input
included. Rates are by the clock and by the processor's time: the latter is examples a second and core.
"""

import argparse
import itertools
import json
import pathlib
import tempfile
import time
from collections.abc import Iterable
from typing import Any

import seqio

from llmrec_jax.corpora.simulated_shop.source import SimulatedShop
from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.t5 import T5Config, Transformer
from llmrec_jax.stages.materialise import materialise
from llmrec_jax.text.vocabulary_sources import TrainedVocabulary
from llmrec_jax.training.batches import Batches
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.mesh import MeshShape
from llmrec_jax.training.optimizers import AdamW
from llmrec_jax.training.schedules import Constant
from llmrec_jax.training.trainer import Trainer
from tasks import prompt_pipeline
from tasks.p5 import P5Tasks
from tasks.prompt_tasks import TaskSet

LENGTHS = {'inputs': 512, 'targets': 64}
BUCKETS = (64, 128, 256)
VOCABULARY = 2048
# A mixture starts a pipeline a task.
WARM_UP = 100


def made(shop: str, folder: pathlib.Path) -> tuple[TaskSet, Any]:
    """The registered tasks of the shop, and their vocabulary."""
    source = TrainedVocabulary(size=VOCABULARY, extra_ids=0, symbols=('▁item_', '▁user_'))
    tasks = P5Tasks(SimulatedShop(shop), str(folder), str(folder), source, feature_lengths=LENGTHS)
    task_set = tasks.build_over(tasks.corpus.build())
    texts = itertools.islice(task_set.training_texts(), 10_000)
    vocabulary = source.make_at(folder / 'vocabulary', texts)
    prompt_pipeline.register(task_set, vocabulary)
    return task_set, vocabulary


def plain(task_set: TaskSet, vocabulary: Any) -> Iterable[int]:
    """One example of each training task in turn, rendered and tokenized."""
    for examples in zip(*(itertools.cycle(task.examples('train')) for task in task_set.training)):
        for example in examples:
            yield len(vocabulary.encode(example['inputs'])) + len(vocabulary.encode(example['targets']))


def rates(examples: Iterable[Any], seconds: float, each: int = 1) -> dict[str, float]:
    """Examples a second of the clock and of the processor, over `seconds` when the pipeline is under way."""
    iterator = iter(examples)
    for _ in range(WARM_UP):
        next(iterator)
    wall, cpu, count = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - wall < seconds:
        next(iterator)
        count += each
    return {
        'examples_per_second': round(count / (time.perf_counter() - wall), 1),
        'examples_per_cpu_second': round(count / (time.process_time() - cpu), 1),
    }


def consumed(store: ColumnStore, batch: int, steps: int, workdir: pathlib.Path) -> dict[str, float]:
    """Training's own rate, compilation left out."""
    config = T5Config(VOCABULARY, 512, 8, 64, 2048, 6, 6, mlp_activations=('relu',), dtype='float32')
    trainer = Trainer(
        steps,
        LENGTHS,
        AdamW(Constant(1e-3)),
        batch_size=batch,
        length_buckets=BUCKETS,
        mesh=MeshShape(data=1),
        checkpoint_every=steps,
    )
    result = trainer.fit(EncoderDecoderModel(Transformer(config)), store, workdir)
    return {'examples_per_second': round(result.examples_per_second, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--shop', default='quickstart', help='size of the simulated shop')
    parser.add_argument('--examples', type=int, default=4000, help='materialised')
    parser.add_argument('--seconds', type=float, default=5.0, help='of each reader')
    parser.add_argument('--batch', type=int, default=16)
    parser.add_argument('--steps', type=int, default=4, help='of training; 0 for none')
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        task_set, vocabulary = made(flags.shop, folder)
        mixture = seqio.get_mixture_or_task(task_set.training_mixture)
        live = mixture.get_dataset(LENGTHS, 'train', shuffle=False, seed=0).as_numpy_iterator()
        print(json.dumps({'reader': 'live SeqIO mixture', **rates(live, flags.seconds)}), flush=True)
        del live
        written = rates(plain(task_set, vocabulary), flags.seconds)
        print(json.dumps({'reader': 'plain Python', **written}), flush=True)
        store = materialise(
            task_set.training_mixture,
            'train',
            folder / 'train',
            feature_lengths=LENGTHS,
            examples=flags.examples,
            provenance={},
        )
        batches = Batches(store, flags.batch, LENGTHS, length_buckets=BUCKETS)
        read = rates(map(batches.batch, range(10**9)), flags.seconds, flags.batch)
        tokens = float(store.lengths('inputs').mean())
        print(json.dumps({'reader': 'materialised', 'mean_input_tokens': round(tokens), **read}), flush=True)
        if flags.steps:
            found = consumed(store, flags.batch, flags.steps, folder / 'run')
            print(json.dumps({'consumed': f'T5 small, batch {flags.batch}', **found}), flush=True)


if __name__ == '__main__':
    main()
