"""Low-rank adapters on the projections of a T5."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from jax.sharding import PartitionSpec

from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.layers import Dense
from llmrec_jax.models.lora import Lora, is_adapter, merged
from llmrec_jax.models.t5 import Transformer
from llmrec_jax.models.t5.layer_stack import stack_layers
from llmrec_jax.training.mesh import FSDP_RULES, MeshShape, parameter_shardings
from tests.small_t5 import GATED, random_params

SMALL = dataclasses.replace(GATED, num_encoder_layers=2, num_decoder_layers=1)
LORA = Lora(('.*attention/(query|value)', '.*mlp/w.*', '.*logits_dense'), rank=3, alpha=6.0, dropout=0.5)
SHAPES = {'encoder_input_tokens': (2, 5), 'decoder_input_tokens': (2, 4)}
BATCH = {
    'encoder_input_tokens': jnp.arange(2, 12).reshape(2, 5),
    'decoder_input_tokens': jnp.array([[0, 5, 6, 7], [0, 9, 10, 11]]),
    'decoder_target_tokens': jnp.array([[5, 6, 7, 8], [9, 10, 11, 12]]),
    'decoder_loss_weights': jnp.ones((2, 4), jnp.int32),
}


def model(lora, scan=False):
    return EncoderDecoderModel(Transformer(dataclasses.replace(SMALL, lora=lora, scan_layers=scan)))


def logits(lora, params, scan=False):
    return jax.jit(model(lora, scan).compute_logits)(params, BATCH)


def shapes(scan=False):
    return jax.eval_shape(lambda: model(LORA, scan).get_initial_variables(jax.random.key(0), SHAPES))


@pytest.fixture(scope='module')
def base():
    return {path: 0.3 * value for path, value in random_params(SMALL).items()}


@pytest.fixture(scope='module')
def adapters():
    """Numbers that no initializer makes, by the paths of the adapters."""
    rng = np.random.default_rng(1)
    found = traverse_util.flatten_dict(shapes()['params'], sep='/')
    return {
        path: rng.normal(size=value.shape).astype(np.float32)
        for path, value in found.items()
        if is_adapter(path)
    }


def nested(*parts):
    return traverse_util.unflatten_dict(
        {path: value for part in parts for path, value in part.items()}, sep='/'
    )


def test_adapters_begin_as_the_network_that_they_adapt(adapters):
    assert len(adapters) == 2 * (2 * (2 + 3) + (2 * 2 + 3) + 1)
    inputs = jnp.ones((2, 16))
    projection = Dense(8, ('embed', 'mlp'), lora=Lora(('.*',), rank=3))
    params = projection.init(jax.random.key(0), inputs)['params']
    # PEFT's kaiming_uniform with a = sqrt(5).
    assert params['lora_a'].shape == (16, 3) and 0.8 / 4 < np.abs(params['lora_a']).max() < 1 / 4
    plain = Dense(8, ('embed', 'mlp')).apply({'params': {'kernel': params['kernel']}}, inputs)
    np.testing.assert_array_equal(projection.apply({'params': params}, inputs), plain)


def test_a_projection_adds_its_adapters_share(base, adapters):
    """One adapter, on the output head, whose inputs and outputs can be looked at."""
    head = {path: value for path, value in adapters.items() if 'logits_dense' in path}
    plain, adapted = (logits(LORA, params) for params in (nested(base), nested(base, head)))
    a, b = head['decoder/logits_dense/lora_a'], head['decoder/logits_dense/lora_b']
    vectors = np.linalg.lstsq(base['decoder/logits_dense/kernel'].T, plain.reshape(-1, 32).T)[0].T
    np.testing.assert_allclose((adapted - plain).reshape(-1, 32), 2.0 * vectors @ a @ b, atol=1e-4)


@pytest.mark.parametrize('scan', [False, True])
def test_merged_parameters_are_a_plain_networks_and_answer_alike(base, adapters, scan):
    arranged = stack_layers if scan else dict
    adapted = arranged(nested(base, adapters))
    assert jax.tree.map(np.shape, adapted) == jax.tree.map(np.shape, dict(shapes(scan)['params']))
    whole = merged(adapted, LORA)
    assert jax.tree.structure(whole) == jax.tree.structure(arranged(nested(base)))
    expected = logits(LORA, adapted, scan)
    # A network that may have adapters takes parameters without them too.
    np.testing.assert_allclose(logits(LORA if scan else None, whole, scan), expected, atol=2e-4)


@pytest.mark.parametrize('scan', [False, True])
def test_decoding_step_by_step_has_the_adapters_too(base, adapters, scan):
    params = nested(base, adapters)
    params = stack_layers(params) if scan else params
    candidates = BATCH['decoder_target_tokens'][:, None]
    adapted = model(LORA, scan)
    scores = jax.jit(adapted.score_candidates)(params, BATCH, candidates)[:, 0]
    np.testing.assert_allclose(scores, jax.jit(adapted.score_batch)(params, BATCH), rtol=1e-4)


def test_dropout_is_of_the_adapters_inputs_and_only_in_training(base, adapters):
    still = dataclasses.replace(SMALL, dropout_rate=0.0, lora=LORA)
    answer = jax.jit(EncoderDecoderModel(Transformer(still)).compute_logits)
    one, other = (answer(nested(base, adapters), BATCH, jax.random.key(seed)) for seed in (1, 2))
    assert not np.allclose(one, other)
    # Without adapters nothing is left to drop.
    np.testing.assert_array_equal(
        answer(nested(base), BATCH, jax.random.key(1)), answer(nested(base), BATCH, jax.random.key(2))
    )


def test_adapters_lie_as_their_kernels_do():
    variables = shapes(scan=True)
    mesh = MeshShape(4, 2).build()
    found = parameter_shardings(mesh, FSDP_RULES, variables['params'], variables['params_axes'])
    wo = found['encoder']['layers']['mlp']['wo']
    assert wo['kernel'].spec == PartitionSpec(None, 'model', 'data')
    assert wo['lora_a'].spec == PartitionSpec(None, 'model', None)
    assert wo['lora_b'].spec == PartitionSpec(None, None, 'data')


def test_a_pattern_that_matches_no_projection():
    with pytest.raises(ValueError, match=r"'\.\*/queries' matches no projection .* decoder/layers_\*/mlp/wo"):
        wrong = model(Lora(('.*/query', '.*/queries')))
        jax.eval_shape(lambda: wrong.get_initial_variables(jax.random.key(0), SHAPES))


@pytest.mark.parametrize(
    'change',
    [
        {'patterns': ()},
        {'patterns': ('(',)},
        {'rank': 0},
        {'alpha': 0.0},
        {'dropout': 1.0},
        {'at_inference': 'never'},
    ],
)
def test_numbers_out_of_range(change):
    with pytest.raises(ValueError, match=rf'Lora\.{next(iter(change))}'):
        Lora(**change)
