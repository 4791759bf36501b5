"""Whether a recipe fits the devices is found out before any work."""

import pytest

from llmrec_jax import train

RECIPE = """
from __gin__ import dynamic_registration
from llmrec_jax.training import mesh
from llmrec_jax.training import trainer
include 'gin_configs/tiger/smoke.gin'
trainer.Trainer.mesh = @mesh.MeshShape()
"""


@pytest.mark.parametrize(
    ('binding', 'message'),
    [
        (
            'mesh.MeshShape.model=3',
            'model=3 does not fit the 8 devices of this run; choose a model size that',
        ),
        ('BATCH_SIZE=60', '15 examples a microbatch cannot be shared among 8 devices; change batch_size'),
        ('system.Tiger.decoding_batch_size=12', '12 users at once do not divide over 8 devices'),
    ],
)
def test_a_mesh_or_batch_that_does_not_fit_is_told_before_any_work(binding, message, tmp_path, capsys):
    recipe, workdir = tmp_path / 'recipe.gin', tmp_path / 'run'
    recipe.write_text(RECIPE)
    with pytest.raises(SystemExit) as ended:
        train.main([f'--gin_file={recipe}', f'--gin.WORKDIR={workdir}', f'--gin.{binding}'])
    assert ended.value.code == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and said[0].startswith('llmrec_jax.train: ') and message in said[0]
    assert not workdir.exists()
