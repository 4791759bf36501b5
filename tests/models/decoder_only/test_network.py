"""The network: cached as uncached, packed as separate, scanned as unscanned, sharded as not."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.core import unfreeze
from flax.linen import partitioning
from jax.sharding import NamedSharding, PartitionSpec

from llmrec_jax.models.decoder_only import DecoderOnlyTransformer
from llmrec_jax.models.decoder_only.config import DecoderConfig, LinearRope, Llama3Rope
from llmrec_jax.models.decoder_only.features import decoder_features
from llmrec_jax.models.decoder_only.flops import parameter_count
from llmrec_jax.models.decoder_only.rotary import rotated, rotation
from llmrec_jax.models.t5.layer_stack import stack_layers, unstack_layers
from llmrec_jax.training.mesh import FSDP_RULES, MeshShape
from tests.models.decoder_only.small import EVERYTHING, LLAMA, model, random_params, task_batch

CONFIGS = {'llama': LLAMA, 'everything': EVERYTHING}
PROMPTS = np.array([3, 8, 6])


def computed(config):
    """A network, its parameters, tokens, and the logits of reading them whole."""
    tokens = np.random.default_rng(1).integers(0, 40, (3, 12))
    params = random_params(config)
    network = DecoderOnlyTransformer(config)
    logits = jax.jit(network.apply)({'params': params}, jnp.asarray(tokens))
    return config, params, jnp.asarray(tokens), np.asarray(logits)


@pytest.fixture(scope='module')
def everything():
    return computed(EVERYTHING)


@pytest.fixture(scope='module')
def llama():
    return computed(LLAMA)


@pytest.fixture(params=CONFIGS)
def case(request):
    return request.getfixturevalue(request.param)


def continued(config, params, tokens, chunks):
    """Logits behind prompts of unequal length, of two beams that read four more tokens."""
    network = DecoderOnlyTransformer(config)
    variables = {'params': params}
    width = int(PROMPTS.max())
    _, memory = network.apply(
        variables, network.apply(variables, tokens[:, :width], method='embed'), method='prefill'
    )
    new = jnp.stack([row[length : length + 4] for row, length in zip(tokens, PROMPTS, strict=True)])
    new = jnp.stack([new, new], axis=1)
    cache = network.init_self_cache(3, 2, 4)
    outputs = []
    for start, end in itertools.pairwise(chunks):
        encoded, cache = network.apply(
            variables, new[:, :, start:end], start, cache, memory, jnp.asarray(PROMPTS), method='extend'
        )
        outputs.append(network.apply(variables, encoded, method='logits'))
    return jnp.concatenate(outputs, axis=2)


@pytest.mark.parametrize(('scanned', 'chunks'), [(False, (0, 1, 4)), (True, (0, 4))], ids=['loop', 'scan'])
def test_continuations_of_a_shared_prompt_are_those_of_the_whole_text(case, chunks, scanned):
    config, params, tokens, logits = case
    if scanned:
        config, params = dataclasses.replace(config, scan_layers=True), stack_layers(params)
    found = jax.jit(lambda params, tokens: continued(config, params, tokens, chunks))(params, tokens)
    for row, length in enumerate(PROMPTS):
        expected = np.broadcast_to(logits[row, length : length + 4], (2, 4, 40))
        np.testing.assert_allclose(found[row], expected, atol=2e-5)


def test_scanned_layers_compute_the_same_and_have_the_same_gradient(everything):
    config, params, tokens, logits = everything
    scanned = dataclasses.replace(config, scan_layers=True, remat_policy='full')
    stacked = stack_layers(params)
    assert jax.tree.structure(unstack_layers(stacked)) == jax.tree.structure(params)

    def total(config, params):
        found = DecoderOnlyTransformer(config).apply({'params': params}, tokens)
        return jnp.sum(jnp.square(found)), found

    grad = jax.jit(jax.grad(total, argnums=1, has_aux=True), static_argnums=0)
    (gradients, _), (stacked_gradients, found) = grad(config, params), grad(scanned, stacked)
    np.testing.assert_allclose(found, logits, atol=2e-5)
    for expected, got in zip(
        jax.tree.leaves(gradients), jax.tree.leaves(unstack_layers(stacked_gradients)), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize('bidirectional', [False, True])
def test_packed_examples_compute_what_they_do_alone(everything, bidirectional):
    config, params, _, _ = everything
    batch = task_batch()
    lengths = [(batch['inputs'][row], batch['targets'][row]) for row in (1, 2)]
    packed = {}
    for name, parts in zip(('inputs', 'targets'), zip(*lengths, strict=True), strict=True):
        texts = [text[text != 0] for text in parts]
        packed[name] = np.concatenate(texts)[None]
        packed[f'{name}_segment_ids'] = np.repeat([1, 2], [len(text) for text in texts])[None]
    network = DecoderOnlyTransformer(config)

    def logits(features):
        names = ['decoder_input_tokens', 'decoder_segment_ids', 'decoder_positions']
        names += ['decoder_causal_attention'] * bidirectional
        features = {name: jnp.asarray(features[name]) for name in names if name in features}
        apply = jax.jit(lambda params, features: network.apply({'params': params}, **features))
        return np.asarray(apply(params, features))

    together = decoder_features(packed, 7)
    alone = decoder_features({name: rows[1:3] for name, rows in batch.items()}, 7)
    apart = logits(alone)[alone['decoder_target_tokens'] != 0]
    np.testing.assert_allclose(logits(together)[0][: len(apart)], apart, atol=2e-5)


def test_only_a_prefix_sees_what_comes_after(case):
    config, params, tokens, causal = case
    network = DecoderOnlyTransformer(dataclasses.replace(config, sliding_window=None))
    prefix = jnp.broadcast_to(jnp.arange(12) < 5, tokens.shape).astype(jnp.int32)
    apply = jax.jit(
        lambda tokens, prefix: network.apply({'params': params}, tokens, decoder_causal_attention=prefix)
    )
    before = apply(tokens, prefix)
    inside = np.asarray(apply(tokens.at[:, 4].add(1) % 40, prefix) - before)
    behind = np.asarray(apply(tokens.at[:, 8].add(1) % 40, prefix) - before)
    assert (np.abs(inside).max(axis=(0, 2))[:4] > 1e-4).all()
    assert not behind[:, :8].any() and np.abs(behind[:, 8:]).max() > 1e-3
    if config.sliding_window is None:
        assert np.abs(np.asarray(before) - causal)[:, :4].max() > 1e-3


def test_a_sharded_network_has_the_same_loss_and_gradient():
    config = dataclasses.replace(LLAMA, qkv_bias=True, query_key_norm=True)
    decoder = model(dataclasses.replace(config, scan_layers=True))
    batch = decoder.convert_features({name: np.tile(rows, (2, 1)) for name, rows in task_batch().items()})
    shapes = {name: feature.shape for name, feature in batch.items()}
    params = stack_layers(random_params(config))
    step = jax.jit(jax.value_and_grad(lambda params, batch: decoder.loss_sums(params, batch)[0]))
    expected_loss, expected = step(params, batch)

    mesh = MeshShape(data=2, model=4).build()
    axes = jax.eval_shape(lambda key: decoder.get_initial_variables(key, shapes), jax.random.key(0))[
        'params_axes'
    ]
    specs = jax.tree.map(
        lambda names: partitioning.logical_to_mesh_axes(names, FSDP_RULES),
        unfreeze(partitioning.get_axis_names(axes)),
        is_leaf=lambda leaf: isinstance(leaf, PartitionSpec),
    )
    # No parameter is left out, and two groups of keys lie on four devices.
    assert jax.tree.structure(specs) == jax.tree.structure(params)
    with jax.set_mesh(mesh), partitioning.axis_rules(FSDP_RULES):
        sharded = jax.tree.map(
            lambda leaf, spec: jax.device_put(leaf, NamedSharding(mesh, spec)), params, specs
        )
        rows = jax.device_put(batch, NamedSharding(mesh, PartitionSpec('data')))
        loss, gradient = step(sharded, rows)
    key = sharded['decoder']['layers']['self_attention']['key']['kernel']
    assert key.addressable_shards[0].data.shape == (2, 8, 3)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-3), gradient, expected)


def test_bfloat16_stays_near_and_its_logits_are_float32(everything):
    config, params, tokens, logits = everything
    network = DecoderOnlyTransformer(dataclasses.replace(config, dtype='bfloat16'))
    found = jax.jit(network.apply)({'params': params}, tokens)
    assert found.dtype == jnp.float32
    assert 0 < np.abs(found - logits).max() < 0.1 * np.abs(logits).max()


def test_scores_depend_on_distances_alone():
    heads = jnp.asarray(np.random.default_rng(0).standard_normal((1, 2, 3, 8)), jnp.float32)
    places = [jnp.array([[3, 5]]), jnp.array([[103, 105]])]
    products = []
    for positions in places:
        first, second = rotated(heads, rotation(positions, 8, 1000.0, None))[0]
        products.append(jnp.sum(first * second, axis=-1))
    np.testing.assert_allclose(products[0], products[1], rtol=1e-4)
    assert np.abs(products[0] - jnp.sum(heads[0, 0] * heads[0, 1], axis=-1)).min() > 1e-3


def test_scaled_frequencies_are_slower_where_they_are_slow():
    frequencies = np.array([1.0, 2 * np.pi * 2 / 8192, 2 * np.pi * 0.5 / 8192])
    scaled = Llama3Rope(8.0).scaled(frequencies)
    # Two turns in the original context lie a third of the way from one to four.
    np.testing.assert_allclose(scaled / frequencies, [1.0, 1 / 3 + 2 / 3 / 8, 1 / 8])
    np.testing.assert_allclose(LinearRope(4.0).scaled(frequencies), frequencies / 4)


@pytest.mark.parametrize('config', CONFIGS.values(), ids=CONFIGS)
def test_parameters_are_counted_by_formula(config):
    assert parameter_count(config) == sum(leaf.size for leaf in jax.tree.leaves(random_params(config)))


@pytest.mark.parametrize(
    ('field', 'value'),
    [
        ('num_layers', 0),
        ('num_kv_heads', 3),
        ('head_dim', 5),
        ('activation', 'relu'),
        ('remat_policy', 'some'),
    ],
)
def test_impossible_networks_are_refused_by_name(field, value):
    with pytest.raises(ValueError, match=rf'DecoderConfig\.?.*{field}'):
        DecoderConfig(**{**dataclasses.asdict(LLAMA), field: value})
