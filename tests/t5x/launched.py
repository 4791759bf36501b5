"""The tiny shop's recipe, launched under T5X and under the embedded engine as a user launches it."""

import json
import os
import pathlib
import subprocess
import sys

RECIPE = 'gin_configs/tiger/smoke.gin'
# Without dropout the engines draw no random numbers, and T5X makes one part of a batch. The low learning rate
# keeps rounding from growing: at the recipe's own, two float32 programs of one update soon drift apart.
SHARED = (
    '--gin.config.T5Config.dropout_rate=0.0',
    '--gin.schedules.WarmupCosine.peak=1e-4',
    '--gin.training.trainer.Trainer.microbatches=1',
    '--gin.training.trainer.Trainer.length_buckets=()',
    '--gin.training.trainer.Trainer.validate_every=1000',
    '--gin.training.trainer.Trainer.checkpoint_every=100',
)
TRAINING = (
    '--gin.train.stats_period=1',
    '--gin.train.train_eval_dataset_cfg=None',
    '--gin.train.infer_eval_dataset_cfg=None',
)
ROOT = pathlib.Path(__file__).parents[2]
SECONDS = 900


def t5x(program: str, run_file: str, model_dir: pathlib.Path, *arguments: str) -> None:
    """`python -m t5x.<program>` on the recipe and a run file."""
    run_module(
        f't5x.{program}',
        f'--gin_file={RECIPE}',
        f'--gin_file=gin_configs/runs/{run_file}.gin',
        f"--gin.MODEL_DIR='{model_dir}'",
        *SHARED,
        *arguments,
    )


def ours(launcher: str, workdir: pathlib.Path, *arguments: str) -> None:
    """`python -m llmrec_jax.<launcher>` on the same recipe."""
    run_module(
        f'llmrec_jax.{launcher}',
        f'--gin_file={RECIPE}',
        f'--gin.WORKDIR={workdir}',
        *SHARED,
        *arguments,
    )


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
