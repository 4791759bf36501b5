import jax
import numpy as np
import pytest

from llmrec_jax.training.mesh import STANDARD_RULES, MeshShape, optimizer_shardings, parameter_shardings
from llmrec_jax.training.optimizers import Adafactor, AdamW
from llmrec_jax.training.schedules import Constant
from tests.t5x.registered_models import REGISTERED

pytest.importorskip('t5x')
MESH = MeshShape(data=4, model=2)
SHAPES = {'encoder_input_tokens': (8, 13), 'decoder_input_tokens': (8, 3)}


@pytest.mark.parametrize(
    'optimizer',
    [
        AdamW(Constant(1e-3), weight_decay=0.01),
        AdamW(Constant(1e-3), clip_norm=None),
        Adafactor(Constant(1e-2), min_dim_size_to_factor=16, weight_decay=0.01),
    ],
)
def test_t5x_shares_the_optimizer_s_state_as_the_embedded_engine_does(optimizer):
    from t5x import utils

    from llmrec_jax.t5x.optimizer import wrap
    from llmrec_jax.t5x.partitioner import MeshPartitioner

    model = REGISTERED['EncoderDecoderModel, gated'].make()
    initializer = utils.TrainStateInitializer(
        optimizer_def=wrap(optimizer),
        init_fn=model.get_initial_variables,
        input_shapes=SHAPES,
        partitioner=MeshPartitioner(MESH, STANDARD_RULES),
    )
    theirs = jax.tree.leaves(initializer.train_state_axes.param_states, is_leaf=lambda leaf: leaf is None)

    variables = jax.eval_shape(lambda: model.get_initial_variables(jax.random.key(0), SHAPES))
    params, mesh = variables['params'], MESH.build()
    shardings = parameter_shardings(mesh, STANDARD_RULES, params, variables['params_axes'])
    transformation = optimizer.build()
    ours = jax.tree.leaves(optimizer_shardings(mesh, transformation, params, shardings))
    shapes = jax.tree.leaves(jax.eval_shape(transformation.init, params))

    assert len(theirs) == len(ours) == len(shapes)
    shared = 0
    for found, expected, leaf in zip(theirs, ours, shapes, strict=True):
        padded = tuple(found or ()) + (None,) * (leaf.ndim - len(found or ()))
        assert padded == tuple(expected.spec) + (None,) * (leaf.ndim - len(expected.spec))
        shared += any(padded)
    assert shared > 8, 'moments of large parameters lie over the model axis'


def test_the_partitioner_s_mesh_is_the_recipe_s():
    from llmrec_jax.t5x.partitioner import MeshPartitioner

    partitioner = MeshPartitioner(MESH, STANDARD_RULES)
    assert dict(partitioner.mesh.shape) == {'data': 4, 'model': 2}
    np.testing.assert_array_equal(partitioner.mesh.devices, MESH.build().devices)
    assert partitioner.get_data_layout(8).num_shards == 1
