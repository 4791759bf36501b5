"""Smoke recipes make the same losses under T5X's launcher and under the embedded engine's."""

import numpy as np
import pytest

from tests.t5x.launched import TRAINING, WHOLE_BATCHES, Recipe, copy, our_losses, ours, t5x, t5x_losses

pytest.importorskip('t5x')
pytestmark = pytest.mark.slow
STEPS = 20
EVERY_STEP = '--gin.training.trainer.Trainer.log_every=1'
SHORT = (f'--gin.TRAIN_STEPS={STEPS}', '--gin.LEARNING_RATE=1e-4', EVERY_STEP, *WHOLE_BATCHES)
TEXT = ('--gin.config.T5Config.dropout_rate=0.0', "--gin.config.T5Config.dtype='float32'", *SHORT)
RECIPES = {
    'sasrec': Recipe('gin_configs/sasrec/smoke.gin', ('--gin.DROPOUT=0.0', *SHORT)),
    'p5': Recipe('gin_configs/p5/smoke.gin', TEXT),
    'palr': Recipe('gin_configs/palr/smoke.gin', TEXT),
}


@pytest.mark.parametrize('name', RECIPES)
def test_both_engines_make_the_same_losses(name, tmp_path):
    recipe = RECIPES[name]
    t5x('train', 't5x_train', tmp_path / 'theirs', *TRAINING, recipe=recipe)
    copy(tmp_path / 'theirs', tmp_path / 'ours', checkpoint=0)
    ours('train', tmp_path / 'ours', recipe=recipe)
    theirs, our = t5x_losses(tmp_path / 'theirs'), our_losses(tmp_path / 'ours')
    assert sorted(theirs) == sorted(our) == list(range(1, STEPS + 1))
    found, expected = ([losses[step] for step in sorted(losses)] for losses in (theirs, our))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert our[STEPS] < our[1]
