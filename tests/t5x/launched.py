"""A recipe, launched under T5X and under the embedded engine as a user launches it."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
from typing import NamedTuple


class Recipe(NamedTuple):
    """A gin file, and what is bound after it under either engine."""

    gin_file: str
    bindings: tuple[str, ...]


# T5X makes one part of a batch.
WHOLE_BATCHES = (
    '--gin.training.trainer.Trainer.microbatches=1',
    '--gin.training.trainer.Trainer.length_buckets=()',
    '--gin.training.trainer.Trainer.validate_every=1000',
    '--gin.training.trainer.Trainer.checkpoint_every=100',
)
# Without dropout the engines draw no random numbers. The low learning rate keeps rounding from growing: at
# the recipe's own, two float32 programs of one update soon drift apart.
TIGER = Recipe(
    'gin_configs/tiger/smoke.gin',
    ('--gin.config.T5Config.dropout_rate=0.0', '--gin.schedules.WarmupCosine.peak=1e-4', *WHOLE_BATCHES),
)
TRAINING = (
    '--gin.train.stats_period=1',
    '--gin.train.train_eval_dataset_cfg=None',
    '--gin.train.infer_eval_dataset_cfg=None',
)
ROOT = pathlib.Path(__file__).parents[2]
SECONDS = 900


def t5x(
    program: str, run_file: str, model_dir: pathlib.Path, *arguments: str, recipe: Recipe = TIGER
) -> None:
    """`python -m t5x.<program>` on the recipe and a run file."""
    run_module(
        f't5x.{program}',
        f'--gin_file={recipe.gin_file}',
        f'--gin_file=gin_configs/runs/{run_file}.gin',
        f"--gin.MODEL_DIR='{model_dir}'",
        *recipe.bindings,
        *arguments,
    )


def ours(launcher: str, workdir: pathlib.Path, *arguments: str, recipe: Recipe = TIGER) -> None:
    """`python -m llmrec_jax.<launcher>` on the same recipe."""
    run_module(
        f'llmrec_jax.{launcher}',
        f'--gin_file={recipe.gin_file}',
        f'--gin.WORKDIR={workdir}',
        *recipe.bindings,
        *arguments,
    )


def copy(source: pathlib.Path, target: pathlib.Path, checkpoint: int) -> None:
    """A workdir with one checkpoint of `source`, and none of its logs."""
    kept = f'checkpoint_{checkpoint}'

    def others(folder: str, names: list[str]) -> list[str]:
        if pathlib.Path(folder) == source / 'checkpoints':
            return [name for name in names if name != kept]
        return [name for name in names if name in ('metrics.jsonl', 'validation.jsonl', 'train.json')]

    shutil.copytree(source, target, ignore=others)


def t5x_losses(workdir: pathlib.Path) -> dict[int, float]:
    """Step to loss, from T5X's event files."""
    import tensorflow as tf

    found = {}
    for file in sorted((workdir / 'checkpoints' / 'train').glob('events*')):
        for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                if value.tag == 'loss_per_nonpadding_target_token':
                    found[event.step] = float(tf.make_ndarray(value.tensor))
    return found


def our_losses(workdir: pathlib.Path) -> dict[int, float]:
    """Step to loss, from `metrics.jsonl`."""
    rows = map(json.loads, (workdir / 'metrics.jsonl').read_text().splitlines())
    return {row['step']: row['loss'] for row in rows}


def run_module(module: str, *arguments: str) -> None:
    """`python -m <module>` from the repository's root."""
    # One device, as a user's laptop has, and the compiler's own optimisation.
    environment = {name: value for name, value in os.environ.items() if name != 'XLA_FLAGS'}
    environment['PYTHONPATH'] = os.pathsep.join([str(ROOT), *sys.path])
    done = subprocess.run(
        [sys.executable, '-m', module, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr[-4000:]
