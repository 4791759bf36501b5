"""`python -m llmrec_jax.plan` as a user calls it."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from llmrec_jax import plan
from llmrec_jax.planning.decoding_programs import CatalogueScores, TextStep
from llmrec_jax.planning.workload import DecodingSizes
from llmrec_jax.runs import gin_config
from llmrec_jax.runs.gin_config import REPOSITORY

SMOKE = '--gin_file=gin_configs/tiger/smoke.gin'


def _message(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        plan.main(arguments)
    assert stopped.value.code == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_a_recipe_is_planned_without_workdir_corpus_or_data(capsys, tmp_path):
    plan.main([SMOKE, '--topology=here', '--only=decoding', '--items=500', f'--json={tmp_path}/plan.json'])
    printed = capsys.readouterr().out
    assert 'Decoding: the search of 500 items, beam 20, 41 input tokens' in printed
    [row] = json.loads((tmp_path / 'plan.json').read_text())['decoding']
    assert row['memory']['total'] > row['parameter_bytes'] > 0
    assert os.listdir(tmp_path) == ['plan.json']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--topology=v5e:3x5'], "no TPU topology 'v5e:3x5'; slices of v5e are 1x1, 2x2"),
        (['--topology=here', '--meshes=5x2'], 'does not make the 8 devices of here'),
        (['--topology=here', '--batch_sizes=100'], 'a batch of 100 cannot be cut into 4 microbatches'),
        (['--topology=here', '--decode_batch_size=12'], '12 users decoded at once do not divide over the 8'),
        (['--topology=here', '--meshes=five'], "'five' is no mesh"),
        (['--topology=here', '--examples=10'], 'are given together or not at all'),
        (['--topology=here', '--gin.NO_SUCH=1'], 'NO_SUCH is set on the command line'),
    ],
)
def test_one_clear_message(capsys, arguments, message):
    assert message in _message(capsys, SMOKE, *arguments)


def test_without_libtpu_the_message_says_how_to_install_it(capsys, monkeypatch):
    monkeypatch.delenv('TPU_LIBRARY_PATH', raising=False)
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, 'find_spec', lambda name, *rest: None if name == 'libtpu' else find_spec(name, *rest)
    )
    message = _message(capsys, SMOKE, '--topology=v5e:4x4')
    assert "pip install 'libtpu==0.0.42.*'" in message


@pytest.mark.smoke
def test_planning_imports_no_tensorflow():
    check = (
        'import sys\n'
        'from llmrec_jax import plan\n'
        f'try: plan.main([{SMOKE!r}, "--topology=here", "--batch_sizes=7"])\n'
        'except SystemExit: pass\n'
        'assert "tensorflow" not in sys.modules and "tasks.tiger" in sys.modules\n'
    )
    subprocess.run([sys.executable, '-c', check], cwd=REPOSITORY, check=True, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ('recipe', 'decoding'),
    [
        ('sasrec/smoke', CatalogueScores(items=500, users=64, max_items=10, list_length=10)),
        ('two_tower/smoke', CatalogueScores(items=500, users=64, max_items=10, list_length=10)),
        ('vq_rec/smoke', CatalogueScores(items=500, users=64, max_items=10, list_length=50)),
        ('flan_t5/finetune', TextStep(users=256, beams=4)),
    ],
)
def test_every_system_with_a_model_says_what_is_planned_of_it(recipe, decoding):
    gin_config.load(
        gin_config.GinArguments((f'gin_configs/{recipe}.gin',), (), (str(REPOSITORY),)), complete=False
    )
    workload = plan.planned_workload(DecodingSizes(items=500))
    assert workload.decoding == decoding
    assert workload.parameters > 1000
    assert workload.training_features()


def test_gin_files_without_a_system_are_refused(capsys):
    message = _message(capsys, '--gin_file=gin_configs/models/t5_1_1_small.gin', '--topology=here')
    assert 'must configure one System' in message
