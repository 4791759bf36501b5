"""Low-rank adapters on the projections of a T5."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util
from jax.sharding import PartitionSpec

from llmrec_jax.models.encoder_decoder import EncoderDecoderModel
from llmrec_jax.models.lora import Lora, merged
from llmrec_jax.models.t5 import Transformer
from llmrec_jax.models.t5.layer_stack import stack_layers
from llmrec_jax.training.mesh import FSDP_RULES, MeshShape, parameter_shardings
from tests.small_t5 import GATED, random_params

LORA = Lora(('.*attention/(query|value)', '.*mlp/w.*', '.*logits_dense'), rank=3, alpha=6.0, dropout=0.5)
SHAPES = {'encoder_input_tokens': (2, 5), 'decoder_input_tokens': (2, 4)}
BATCH = {
    'encoder_input_tokens': jnp.arange(2, 12).reshape(2, 5),
    'decoder_input_tokens': jnp.array([[0, 5, 6, 7], [0, 9, 10, 11]]),
    'decoder_target_tokens': jnp.array([[5, 6, 7, 8], [9, 10, 11, 12]]),
    'decoder_loss_weights': jnp.ones((2, 4), jnp.int32),
}


def model(lora, scan=False):
    return EncoderDecoderModel(Transformer(dataclasses.replace(GATED, lora=lora, scan_layers=scan)))


def is_adapter(path):
    return path.endswith(('lora_a', 'lora_b'))


def drawn(scan=False):
    return model(LORA, scan).get_initial_variables(jax.random.key(0), SHAPES)


@pytest.fixture(scope='module')
def base():
    return {path: 0.3 * value for path, value in random_params(GATED).items()}


@pytest.fixture(scope='module')
def adapters():
    """Numbers that no initializer makes, by the paths of the adapters."""
    rng = np.random.default_rng(1)
    found = traverse_util.flatten_dict(drawn()['params'], sep='/')
    return {
        path: rng.normal(size=value.shape).astype(np.float32)
        for path, value in found.items()
        if is_adapter(path)
    }


def nested(*parts):
    return traverse_util.unflatten_dict(
        {path: value for part in parts for path, value in part.items()}, sep='/'
    )


def test_adapters_begin_as_the_network_that_they_adapt(base):
    begun = {
        path: value
        for path, value in traverse_util.flatten_dict(drawn()['params'], sep='/').items()
        if is_adapter(path)
    }
    assert len(begun) == 2 * (3 * (2 + 3) + 2 * (2 * 2 + 3) + 1)
    a = begun['encoder/layers_1/attention/query/lora_a']
    # PEFT's kaiming_uniform with a = sqrt(5).
    assert a.shape == (16, 3) and 0.8 / 4 < np.abs(a).max() < 1 / 4
    plain = model(None).compute_logits(nested(base), BATCH)
    np.testing.assert_array_equal(model(LORA).compute_logits(nested(base, begun), BATCH), plain)


def test_a_projection_adds_its_adapters_share(base, adapters):
    """One adapter, on the output head, whose inputs and outputs can be looked at."""
    head = {path: value for path, value in adapters.items() if 'logits_dense' in path}
    plain, adapted = (
        model(LORA).compute_logits(params, BATCH) for params in (nested(base), nested(base, head))
    )
    a, b = head['decoder/logits_dense/lora_a'], head['decoder/logits_dense/lora_b']
    vectors = np.linalg.lstsq(base['decoder/logits_dense/kernel'].T, plain.reshape(-1, 32).T)[0].T
    np.testing.assert_allclose((adapted - plain).reshape(-1, 32), 2.0 * vectors @ a @ b, atol=1e-4)


@pytest.mark.parametrize('scan', [False, True])
def test_merged_parameters_are_a_plain_networks_and_answer_alike(base, adapters, scan):
    arranged = stack_layers if scan else dict
    adapted = arranged(nested(base, adapters))
    shapes = jax.tree.map(np.shape, adapted)
    assert shapes == jax.tree.map(np.shape, dict(drawn(scan)['params']))
    whole = merged(adapted, LORA)
    assert jax.tree.structure(whole) == jax.tree.structure(arranged(nested(base)))
    expected = model(LORA, scan).compute_logits(adapted, BATCH)
    assert np.abs(expected - model(None, scan).compute_logits(arranged(nested(base)), BATCH)).max() > 1
    for lora in (LORA, None):
        np.testing.assert_allclose(model(lora, scan).compute_logits(whole, BATCH), expected, atol=2e-4)


@pytest.mark.parametrize('scan', [False, True])
def test_decoding_step_by_step_has_the_adapters_too(base, adapters, scan):
    params = nested(base, adapters)
    params = stack_layers(params) if scan else params
    candidates = BATCH['decoder_target_tokens'][:, None]
    adapted = model(LORA, scan)
    scores = adapted.score_candidates(params, BATCH, candidates)[:, 0]
    np.testing.assert_allclose(scores, adapted.score_batch(params, BATCH), rtol=1e-4)


def test_dropout_is_of_the_adapters_inputs_and_only_in_training(base, adapters):
    adapted, params = model(LORA), nested(base, adapters)
    still = dataclasses.replace(GATED, dropout_rate=0.0)
    quiet = EncoderDecoderModel(Transformer(dataclasses.replace(still, lora=LORA)))
    one, other = (quiet.compute_logits(params, BATCH, jax.random.key(seed)) for seed in (1, 2))
    assert not np.allclose(one, other)
    np.testing.assert_array_equal(adapted.compute_logits(params, BATCH), quiet.compute_logits(params, BATCH))
    # Without adapters nothing is left to drop.
    plain = quiet.compute_logits(nested(base), BATCH, jax.random.key(1))
    np.testing.assert_array_equal(plain, quiet.compute_logits(nested(base), BATCH))


def test_adapters_lie_as_their_kernels_do():
    variables = drawn(scan=True)
    mesh = MeshShape(4, 2).build()
    found = parameter_shardings(mesh, FSDP_RULES, variables['params'], variables['params_axes'])
    wo = found['encoder']['layers']['mlp']['wo']
    assert wo['kernel'].spec == PartitionSpec(None, 'model', 'data')
    assert wo['lora_a'].spec == PartitionSpec(None, 'model', None)
    assert wo['lora_b'].spec == PartitionSpec(None, None, 'data')


def test_a_pattern_that_matches_no_projection():
    with pytest.raises(ValueError, match=r"'\.\*/queries' matches no projection .* decoder/layers_\*/mlp/wo"):
        model(Lora(('.*/query', '.*/queries'))).get_initial_variables(jax.random.key(0), SHAPES)


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
