"""Every system's smoke recipe whole, from corpus to report, as its user launches it; `make smoke`."""

import json
import math
import os
import subprocess
import sys

import pytest

from tests.recipes import CONFIGS

pytestmark = pytest.mark.smoke
ROOT = CONFIGS.parent
RECIPES = sorted(str(path.relative_to(ROOT)) for path in CONFIGS.glob('*/smoke.gin'))


def launch(launcher: str, *flags: str) -> subprocess.CompletedProcess:
    # One device and the compiler's own optimisation, as a laptop has.
    environment = {name: value for name, value in os.environ.items() if name != 'XLA_FLAGS'}
    environment['PYTHONPATH'] = str(ROOT)
    command = [sys.executable, '-m', f'llmrec_jax.{launcher}', *flags]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def finite(value) -> bool:
    if isinstance(value, dict):
        return all(map(finite, value.values()))
    if isinstance(value, list):
        return all(map(finite, value))
    return not isinstance(value, float) or math.isfinite(value)


@pytest.mark.parametrize('recipe', RECIPES)
def test_a_recipe_runs_whole_and_answers(recipe, tmp_path):
    flags = (f'--gin_file={recipe}', f'--gin.WORKDIR={tmp_path / "run"}')
    ran = launch('run', *flags)
    assert ran.returncode == 0, ran.stderr[-4000:]
    found = sorted((tmp_path / 'run').rglob('results.json'))
    assert found and all(finite(json.loads(path.read_text())) for path in found)
    assert (tmp_path / 'run' / 'report.html').stat().st_size > 10_000

    items = [json.loads(line)['item_id'] for line in (tmp_path / 'run' / 'catalogue.jsonl').open()]
    histories = tmp_path / 'histories.jsonl'
    histories.write_text(json.dumps({'user_id': 'me', 'history': items[:4]}) + '\n')
    asked = launch('infer', *flags, f'--input={histories}', '--k=5')
    assert asked.returncode == 0, asked.stderr[-4000:]
    listed = json.loads(asked.stdout)['items']
    assert listed and {item['item_id'] for item in listed} <= set(items)
