"""What makes the train stage begin anew, and what lets it go on."""

import pytest

from llmrec_jax.runs.execution import fingerprints
from llmrec_jax.stages.train import claim
from tests.recipes import load

RECIPE = 'gin_configs/tiger/smoke.gin'


def fingerprint(*bindings):
    return fingerprints(load(RECIPE, *bindings).stages())['train']


@pytest.mark.parametrize(
    'binding',
    [
        'trainer.Trainer.profile_steps=(1, 2)',
        "trainer.Trainer.optimizer_sharding='data'",
        "trainer.Trainer.logical_axis_rules='fsdp'",
        'BEAM_SIZE=12',
    ],
)
def test_where_and_how_watched_a_network_is_trained_does_not_train_it_anew(binding):
    assert fingerprint(binding) == fingerprint()


@pytest.mark.parametrize('binding', ['RANDOM_SEED=1', 'TRAIN_STEPS=60', 'MAX_ITEMS=5', 'USER_TOKENS=100'])
def test_another_law_trains_anew(binding):
    lengths = ("TASK_FEATURE_LENGTHS={'inputs': 21, 'targets': 4}",) if 'MAX_ITEMS' in binding else ()
    assert fingerprint(binding, *lengths) != fingerprint()


def test_what_another_configuration_trained_is_moved_away_or_gone_on_with(tmp_path):
    claim(tmp_path, 'first')
    (tmp_path / 'checkpoints').mkdir()
    claim(tmp_path, 'second', goes_on=True)
    assert (tmp_path / 'checkpoints').is_dir()
    claim(tmp_path, 'second')
    assert (tmp_path / 'checkpoints').is_dir()
    claim(tmp_path, 'third')
    assert not (tmp_path / 'checkpoints').exists()
    assert (tmp_path / 'superseded' / 'second' / 'checkpoints').is_dir()
