"""Low-rank adapters beside parameters that are not updated, under both engines."""

import dataclasses

import flax
import jax
import numpy as np
import pytest

from llmrec_jax.models.lora import ADAPTERS, Lora, is_adapter
from llmrec_jax.training.mesh import MeshShape
from llmrec_jax.training.optimizers import AdamW
from llmrec_jax.training.schedules import Constant
from tests.t5x.engines import embedded_losses, t5x_losses
from tests.t5x.registered_models import REGISTERED

pytest.importorskip('t5x')
MESH = MeshShape(data=4, model=2)
OPTIMIZER = AdamW(Constant(1e-2), weight_decay=0.01)


def test_t5x_makes_the_same_updates_of_adapters_alone():
    from llmrec_jax.t5x.optimizer import wrap

    entry = REGISTERED['EncoderDecoderModel, gated']
    plain = entry.make()
    config = dataclasses.replace(plain.module.config, lora=Lora(rank=2, dropout=0.0))
    model = dataclasses.replace(plain, module=plain.module.clone(config=config))
    batches = [model.convert_features(entry.task_batch(seed, 8)) for seed in range(3)]
    shapes = {name: array.shape for name, array in batches[0].items()}
    params = jax.device_get(model.get_initial_variables(jax.random.key(1), shapes)['params'])

    driven = dataclasses.replace(
        model, optimizer_def=wrap(OPTIMIZER, ADAPTERS), loss_normalizing_factor='NUM_REAL_TARGET_TOKENS'
    )
    expected, ours = embedded_losses(model, OPTIMIZER, params, batches, MESH, trained=ADAPTERS)
    found, theirs, state = t5x_losses(driven, params, batches, MESH)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    begun, ours, theirs = (flax.traverse_util.flatten_dict(tree, sep='/') for tree in (params, ours, theirs))
    for name, leaf in theirs.items():
        np.testing.assert_allclose(leaf, ours[name], atol=1e-5, err_msg=name)
        assert is_adapter(name) or np.array_equal(leaf, begun[name]), name
    adapters = sum(leaf.size for name, leaf in ours.items() if is_adapter(name))
    moments = sum(leaf.size for leaf in jax.tree.leaves(state.param_states))
    assert moments <= 2 * adapters + 8
