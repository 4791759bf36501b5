"""From two shops to a third in four steps of each training."""

import pytest

from llmrec_jax.training.columns import ColumnStore
from tests.systems.catalogue_smoke import ran_twice

FEW = ('--gin.PRETRAIN_STEPS=4', '--gin.PRETRAIN_BATCH_SIZE=16', '--gin.TRAINING_USERS=0.25')


@pytest.mark.parametrize(
    ('system', 'zero_shot', 'flags'),
    [
        ('zesrec', 'zesrec_zero_shot', ()),
        pytest.param('unisrec', 'unisrec_zero_shot', (), marks=pytest.mark.slow),
        pytest.param('vq_rec', 'vq_rec_renamed', ('--gin.RENAMING_STEPS=4',), marks=pytest.mark.slow),
    ],
)
@pytest.mark.smoke
def test_the_target_is_recommended_in_before_and_after_tuning(tmp_path, system, zero_shot, flags):
    found = ran_twice(f'{system}/smoke.gin', tmp_path, *FEW, *flags)
    assert list(found['test'])[:2] == [system, zero_shot]
    assert found['test'].keys() >= {'popularity', 'markov', 'content_scann'}
    assert found['test'][system]['users'] == found['test'][zero_shot]['users'] == 200
    assert zero_shot in found['validation_seen_removed'] and system not in found['validation_seen_removed']
    every, chosen = (len(ColumnStore.open(tmp_path / 'tasks' / name)) for name in ('train', 'chosen'))
    assert found['training']['chosen_examples'] == chosen == round(every / 4)
    assert found['training']['final_step'] == 4


@pytest.mark.slow
def test_the_rival_learns_nothing_from_the_sources(tmp_path):
    found = ran_twice('zesrec/smoke.gin', tmp_path, *FEW, '--gin.PRETRAINED=False')
    assert 'zesrec_zero_shot' not in found['test']
    names = {stage['name'] for stage in found['stages']}
    assert not names & {'pretraining_tasks', 'pretraining', 'renaming', 'codes', 'zero_shot'}
