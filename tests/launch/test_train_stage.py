"""What makes the train stage begin anew, and what lets it go on."""

import pytest

from llmrec_jax.launch import pipeline, stages
from llmrec_jax.launch.workspace import Workspace
from tests.launch.short_recipe import SHORT


def fingerprint(tmp_path, *bindings):
    _, recipe = pipeline.parse('', [*SHORT, f'--gin.WORKDIR={tmp_path}', *bindings])
    return stages.fingerprints(pipeline.stages_of(Workspace(recipe)))['train']


@pytest.mark.parametrize(
    'bindings',
    [
        ('--gin.trainer.Trainer.profile_steps=(1, 2)',),
        ("--gin.trainer.Trainer.optimizer_sharding='data'",),
        ("--gin.trainer.Trainer.logical_axis_rules='fsdp'",),
    ],
)
def test_where_and_how_watched_a_network_is_trained_does_not_train_it_anew(tmp_path, bindings):
    assert fingerprint(tmp_path, *bindings) == fingerprint(tmp_path)


def test_another_seed_trains_anew(tmp_path):
    assert fingerprint(tmp_path, '--gin.RANDOM_SEED=1') != fingerprint(tmp_path)
