"""The whole road in two processes of four devices, against one process with eight."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from llmrec_jax import infer
from llmrec_jax.training.metrics_log import read_json_lines
from tests.systems.short_recipe import SHORT

ROOT = pathlib.Path(__file__).parents[3]
LAUNCHER = ('tpu_scripts/launch_local.sh', '2', '--devices=4', '--')
# Process 1 looks for the workdir elsewhere, as a host without the shared file system does.
ELSEWHERE = 'case "$*" in *--process_index=1*) mkdir -p elsewhere; cd elsewhere ;; esac; exec "$@"'


def launch(module, *flags, wrapper=()):
    command = [*LAUNCHER, *wrapper, sys.executable, '-m', f'llmrec_jax.{module}', *flags]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=580)


@pytest.fixture(scope='module')
def by_two(tmp_path_factory):
    """A workdir in which two processes ran the whole recipe."""
    workdir = tmp_path_factory.mktemp('two') / 'shop'
    ran = launch('run', *SHORT, f'--gin.WORKDIR={workdir}')
    assert ran.returncode == 0, ran.stderr
    return workdir


@pytest.mark.slow
def test_two_processes_run_a_recipe_as_one_does(by_two, finished):
    for log in ('metrics.jsonl', 'validation.jsonl'):
        rows, expected = (read_json_lines(workdir / log) for workdir in (by_two, finished))
        for row in (*rows, *expected):
            row.pop('examples_per_second', None)
        assert len(rows) == len(expected)
        for row, other in zip(rows, expected, strict=True):
            assert row == pytest.approx(other, rel=1e-4)
    found, expected = (json.loads((one / 'results.json').read_text()) for one in (by_two, finished))
    assert found['test'].keys() == expected['test'].keys()
    for system, metrics in expected['test'].items():
        # A user whose best items are nearly tied may be ranked otherwise.
        for name in ('recall@10', 'ndcg@10'):
            assert found['test'][system][name] == pytest.approx(metrics[name], abs=0.011), (system, name)


@pytest.mark.slow
def test_two_processes_answer_histories_as_one_does(by_two, tmp_path):
    items = [json.loads(line)['item_id'] for line in (by_two / 'catalogue.jsonl').read_text().splitlines()]
    asked = tmp_path / 'asked.jsonl'
    asked.write_text(
        ''.join(json.dumps({'user_id': str(n), 'history': items[n : n + 4]}) + '\n' for n in range(9))
    )
    flags = (*SHORT, f'--gin.WORKDIR={by_two}', f'--input={asked}', '--k=5')
    ran = launch('infer', *flags, f'--output={tmp_path / "two"}')
    assert ran.returncode == 0, ran.stderr
    infer.main([*flags, f'--output={tmp_path / "one"}'])
    answers = [
        [json.loads(line) for line in (tmp_path / name).read_text().splitlines()] for name in ('one', 'two')
    ]
    assert len(answers[1]) == 9
    for one, two in zip(*answers, strict=True):
        assert [item['item_id'] for item in one['items']] == [item['item_id'] for item in two['items']]


@pytest.mark.slow
def test_a_workdir_that_only_one_host_sees_is_told_before_any_work(tmp_path):
    recipe = ROOT / 'gin_configs/tiger/smoke.gin'
    command = (sys.executable, '-m', 'llmrec_jax.train', f'--gin_file={recipe}', '--gin.WORKDIR=runs/shop')
    ran = subprocess.run(
        [str(ROOT / LAUNCHER[0]), '2', '--', 'bash', '-c', ELSEWHERE, 'bash', *command],
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 1
    assert 'the workdir must lie on a file system that all hosts share' in ran.stderr
    assert 'process 1 ended: process 1 does not see' in ran.stderr
    assert not (tmp_path / 'runs/shop/stages').exists()
