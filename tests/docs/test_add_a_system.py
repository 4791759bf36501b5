"""The page's own system: one Python file and one gin file in an empty folder, and no other edit."""

import json
import os
import re
import subprocess
import sys

import pytest

from llmrec_jax.runs.gin_config import REPOSITORY as ROOT

PAGE = (ROOT / 'docs' / 'add_a_system.md').read_text()


def block(language: str) -> str:
    (code,) = re.findall(rf'```{language}\n(.*?)```', PAGE, re.S)
    return code


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """The folder of someone who followed the page."""
    made = tmp_path_factory.mktemp('my recipes')
    (made / 'decayed_mean.py').write_text(block('py'))
    (made / 'decayed_mean.gin').write_text(block('gin'))
    return made


def launch(folder, *command: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(ROOT), str(folder)])}
    # One device, as a laptop has, and as little compilation.
    environment['XLA_FLAGS'] = '--xla_backend_optimization_level=0'
    return subprocess.run(
        [sys.executable, '-m', *command], cwd=folder, env=environment, capture_output=True, text=True
    )


RECIPE = ('--gin_file=decayed_mean.gin', '--gin.WORKDIR=runs/decayed_mean', '--gin.TRAIN_STEPS=200')


@pytest.fixture(scope='module')
def finished(folder):
    ran = launch(folder, 'llmrec_jax.run', *RECIPE)
    assert ran.returncode == 0, ran.stderr
    return folder / 'runs' / 'decayed_mean'


@pytest.mark.smoke
def test_it_runs_and_learns(finished):
    found = json.loads((finished / 'results.json').read_text())
    assert found['test'].keys() >= {'decayed_mean', 'markov', 'ceiling'}
    assert found['test']['decayed_mean']['recall@10'] > found['test']['popularity']['recall@10']
    assert found['test']['decayed_mean']['recall@10'] < found['test']['ceiling']['recall@10']
    facts = json.loads((finished / 'history_facts.json').read_text())
    assert 0 < facts['read'] <= facts['events']
    assert 'decayed_mean' in (finished / 'report.html').read_text().lower()


@pytest.mark.smoke
def test_it_is_evaluated_and_asked(folder, finished):
    before = json.loads((finished / 'results.json').read_text())
    evaluated = launch(folder, 'llmrec_jax.evaluate', *RECIPE)
    assert evaluated.returncode == 0, evaluated.stderr
    after = json.loads((finished / 'results.json').read_text())
    assert all(stage['reused'] for stage in after['stages'])
    assert after['test']['decayed_mean'] == before['test']['decayed_mean']

    item = json.loads((finished / 'catalogue.jsonl').read_text().splitlines()[0])['item_id']
    (folder / 'histories.jsonl').write_text(json.dumps({'user_id': 'me', 'history': [item]}) + '\n')
    asked = launch(folder, 'llmrec_jax.infer', *RECIPE, '--input=histories.jsonl', '--k=5')
    assert asked.returncode == 0, asked.stderr
    answer = json.loads(asked.stdout)
    assert answer['user_id'] == 'me' and len(answer['items']) == 5


@pytest.mark.smoke
def test_it_is_planned(folder):
    planned = launch(folder, 'llmrec_jax.plan', '--gin_file=decayed_mean.gin', '--topology=here')
    assert planned.returncode == 0, planned.stderr
    assert 'Decoding' in planned.stdout


@pytest.mark.smoke
def test_it_conforms(folder):
    test = str(ROOT / 'tests' / 'systems' / 'test_conformance.py')
    conforming = launch(folder, 'pytest', '-p', 'no:cacheprovider', f'--rootdir={ROOT}',
                        f'--recipes={folder}', test)  # fmt: skip
    assert conforming.returncode == 0, conforming.stdout[-3000:]
    assert '3 passed' in conforming.stdout
