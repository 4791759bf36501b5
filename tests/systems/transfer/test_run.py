"""The whole road from two shops to a third, as a user walks it."""

import json

import pytest

from llmrec_jax import run
from llmrec_jax.training.columns import ColumnStore
from tests.systems.outside_histories import check_answers_outside

FEW_STEPS = ('--gin.PRETRAIN_STEPS=40', '--gin.TRAIN_STEPS=20', '--gin.TRAINING_USERS=0.25')


def ran(system, workdir, *flags):
    run.main([f'--gin_file=gin_configs/{system}/smoke.gin', f'--gin.WORKDIR={workdir}', *FEW_STEPS, *flags])
    return json.loads((workdir / 'results.json').read_text())


@pytest.mark.slow
@pytest.mark.parametrize(
    ('system', 'zero_shot'),
    [('unisrec', 'unisrec_zero_shot'), ('vq_rec', 'vq_rec_renamed'), ('zesrec', 'zesrec_zero_shot')],
)
def test_the_target_is_recommended_in_before_and_after_tuning(system, zero_shot, tmp_path):
    found = ran(system, tmp_path)
    assert found['test'].keys() >= {system, zero_shot, 'popularity', 'markov', 'content_scann'}
    assert found['test'][system]['users'] == found['test'][zero_shot]['users'] == 200
    every, chosen = (len(ColumnStore.open(tmp_path / 'tasks' / name)) for name in ('train', 'chosen'))
    assert chosen == round(every / 4)
    check_answers_outside([f'--gin_file=gin_configs/{system}/smoke.gin'], tmp_path, system, tmp_path)
    again = ran(system, tmp_path)
    assert all(stage['reused'] for stage in again['stages'])
    assert again['test'][system] == found['test'][system]


@pytest.mark.slow
def test_the_rival_and_a_control_are_runs_of_the_same_recipe(tmp_path):
    rival = ran('zesrec', tmp_path / 'rival', '--gin.PRETRAINED=False')
    assert 'zesrec_zero_shot' not in rival['test']
    assert not (tmp_path / 'rival' / 'pretraining').exists()
    assert not (tmp_path / 'rival' / 'sources' / 'train').exists()
    ran('zesrec', tmp_path / 'control', '--gin.SHUFFLE=text')
    store = ColumnStore.open(tmp_path / 'control' / 'sources' / 'train')
    assert store.manifest['provenance']['shuffle'] == 'text'
    facts = [
        json.loads((tmp_path / arm / 'stages' / 'sources.json').read_text())['facts']
        for arm in ('rival', 'control')
    ]
    assert facts[0]['corpora'] == facts[1]['corpora']
