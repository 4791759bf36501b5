import jax
import numpy as np
import pytest

from llmrec_jax.training.columns import write_columns
from llmrec_jax.training.mesh import MeshShape
from llmrec_jax.training.optimizers import AdamW, PartlyFrozen
from llmrec_jax.training.parameter_restore import load_params
from llmrec_jax.training.schedules import Constant
from llmrec_jax.training.trainer import Trainer
from tests.training.small_model import SmallModel, examples

ADAMW = AdamW(Constant(1e-2), weight_decay=0.1, undecayed=())


def trainer(steps):
    return Trainer(
        steps=steps,
        feature_lengths={'inputs': 12, 'targets': 2},
        optimizer=PartlyFrozen(ADAMW, ('embedding', 'wo')),
        batch_size=16,
        mesh=MeshShape(data=4, model=2),
        optimizer_sharding='data',
        checkpoint_every=2,
    )


def test_frozen_parameters_stay_without_decay_and_a_run_goes_on(tmp_path):
    store = write_columns(tmp_path / 'examples', examples(), {})
    found = {}
    for steps in (2, 4):
        trainer(steps).fit(SmallModel(), store, tmp_path)
        found[steps] = load_params(tmp_path / 'checkpoints' / f'checkpoint_{steps}')
    for name in found[2]:
        moved = not np.array_equal(found[2][name], found[4][name])
        assert moved == (name not in ('embedding', 'wo')), name


def test_frozen_parameters_have_no_moments():
    params = {'item': {'table': np.zeros((50, 4))}, 'encoder': {'wi': np.zeros((4, 4))}}
    state = PartlyFrozen(ADAMW, ['item']).build().init(params)
    assert all(leaf.shape in ((), (4, 4)) for leaf in jax.tree.leaves(state))


def test_a_part_of_what_is_frozen_trains_all_the_same():
    params = {'encoder': {'norm': np.ones(2), 'wi': np.ones((4, 4))}, 'item': np.ones(3)}
    optimizer = PartlyFrozen(ADAMW, ['encoder'], ['encoder/norm']).build()
    updates, _ = optimizer.update(params, optimizer.init(params), params)
    assert np.all(updates['encoder']['wi'] == 0)
    assert np.all(updates['encoder']['norm'] != 0)
    assert np.all(updates['item'] != 0)


def test_names_that_freeze_nothing():
    with pytest.raises(ValueError, match=r"except_for names 'item/scale'"):
        PartlyFrozen(ADAMW, ('item',), ('item/scale',)).build().init({'item': {'table': np.zeros(2)}})
    with pytest.raises(ValueError, match="names 'items', but the network has no such parameter; it has item"):
        PartlyFrozen(ADAMW, ('items',)).build().init({'item': np.zeros(2)})
    with pytest.raises(ValueError, match='names no parameter'):
        PartlyFrozen(ADAMW, ())
