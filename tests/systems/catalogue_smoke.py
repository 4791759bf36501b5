"""Smoke recipes of systems that rank a catalogue, so short that their networks have no time to learn."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

from llmrec_jax import run

FOUR_STEPS = (
    '--gin.TRAIN_STEPS=4',
    '--gin.BATCH_SIZE=16',
    '--gin.trainer.Trainer.validate_every=2',
    '--gin.trainer.Trainer.checkpoint_every=2',
)


def ran_twice(recipe: str, workdir: pathlib.Path, *flags: str, after: Sequence[str] = ()) -> dict[str, Any]:
    """Results of four steps of a recipe, once a second run was seen to do nothing again.

    Args:
      recipe: the gin file, under gin_configs.
      workdir: of the run.
      *flags: what makes the recipe short beside `FOUR_STEPS`.
      after: further gin files, under gin_configs.
    """
    files = [f'--gin_file=gin_configs/{name}' for name in (recipe, *after)]
    given = [*files, f'--gin.WORKDIR={workdir}', *FOUR_STEPS, *flags]
    run.main(given)
    first = _results(workdir)
    assert not any(stage['reused'] for stage in first['stages'])
    run.main(given)
    again = _results(workdir)
    assert all(stage['reused'] for stage in again['stages'])
    assert again['test'] == first['test'] and again['sampled'] == first['sampled']
    return first


def _results(workdir: pathlib.Path) -> dict[str, Any]:
    return json.loads((workdir / 'results.json').read_text())
