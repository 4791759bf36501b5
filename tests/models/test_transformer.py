"""What the network computes: who sees whom, and that no way of running it changes the result."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.models.t5 import Transformer
from llmrec_jax.models.t5.layer_stack import stack_layers, unstack_layers
from llmrec_jax.models.t5.layers import relative_position_buckets
from tests.drawn_parameters import drawn

TWO_LAYERS = {'num_encoder_layers': 2, 'num_decoder_layers': 2}


@functools.cache
def compiled(model):
    """A model's logits; tests of one model and one shape of batches compile them once."""
    return jax.jit(model.compute_logits)


def logits_of(model, params, batch):
    return np.asarray(compiled(model)(params, batch))


@pytest.fixture(scope='module')
def deep_params(make_model, batch):
    """Parameters of two layers, which a scan could confuse."""
    shapes = {name: feature.shape for name, feature in batch.items()}
    return drawn(make_model(**TWO_LAYERS), shapes)


def test_a_later_target_leaves_earlier_logits(model, params, task_batch):
    changed = task_batch['targets'].copy()
    changed[:, 2] = changed[:, 2] % 40 + 1
    before = logits_of(model, params, model.convert_features(task_batch))
    after = logits_of(model, params, model.convert_features(task_batch | {'targets': changed}))
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert np.abs(before[:, 3] - after[:, 3]).max() > 1e-3


def test_padding_changes_nothing(model, params, task_batch, batch):
    padded = {
        'inputs': np.pad(task_batch['inputs'], ((0, 0), (0, 6))),
        'targets': np.pad(task_batch['targets'], ((0, 0), (0, 3))),
    }
    before = logits_of(model, params, batch)
    after = logits_of(model, params, model.convert_features(padded))
    np.testing.assert_allclose(after[:, :4], before, atol=1e-5)


def test_every_input_token_and_its_place_matter(model, params, task_batch, batch):
    swapped = task_batch['inputs'].copy()
    swapped[0, [0, 3]] = swapped[0, [3, 0]]
    before = logits_of(model, params, batch)
    after = logits_of(model, params, model.convert_features(task_batch | {'inputs': swapped}))
    assert np.abs(before[0] - after[0]).max() > 1e-3
    np.testing.assert_array_equal(before[1:], after[1:])


def test_a_row_of_padding_stays_finite(model, params, task_batch):
    empty = {name: np.zeros_like(tokens) for name, tokens in task_batch.items()}
    assert np.isfinite(logits_of(model, params, model.convert_features(empty))).all()


def test_packed_rows_give_the_logits_of_their_examples(model, params, task_batch):
    alone = model.convert_features({name: tokens[2:4] for name, tokens in task_batch.items()})
    lengths = [5, 7]
    packed = {
        'encoder_input_tokens': np.concatenate([task_batch['inputs'][2, :5], task_batch['inputs'][3, :7]])[
            None
        ],
        'decoder_input_tokens': alone['decoder_input_tokens'].reshape(1, -1),
        'decoder_target_tokens': alone['decoder_target_tokens'].reshape(1, -1),
        'encoder_segment_ids': np.repeat([1, 2], lengths)[None],
        'decoder_segment_ids': np.repeat([1, 2], 4)[None],
    }
    expected = logits_of(model, params, alone).reshape(1, 8, -1)
    np.testing.assert_allclose(logits_of(model, params, packed), expected, atol=1e-5)
    with pytest.raises(ValueError, match='segment_ids'):
        model.compute_logits(params, {k: v for k, v in packed.items() if k != 'decoder_segment_ids'})


def decode_all(module, params, batch, beams, traced_position=False):
    """Logits at each position of teacher-forced beams, `beams` of [batch, beam, steps]."""
    tokens = jnp.asarray(batch['encoder_input_tokens'])
    users, width, steps = beams.shape
    inputs = jnp.asarray(np.pad(beams, ((0, 0), (0, 0), (1, 0)))[:, :, :-1])

    def decode(params):
        variables = {'params': params}
        encoded = module.apply(variables, tokens, method='encode')
        cross_kv = module.apply(variables, encoded, method='cross_keys_values')

        def step(cache, position):
            newest = inputs[:, :, position]
            logits, cache = module.apply(
                variables, newest, position, cache, cross_kv, tokens > 0, method='decode_beams'
            )
            return cache, logits

        cache = module.init_self_cache(users, width, steps)
        assert all(leaf.shape[:2] == (users, width) for leaf in jax.tree.leaves(cache))
        if traced_position:
            return jnp.moveaxis(jax.lax.scan(step, cache, jnp.arange(steps))[1], 0, 2)
        logits = []
        for position in range(steps):
            cache, one = step(cache, position)
            logits.append(one)
        return jnp.stack(logits, axis=2)

    return np.asarray(jax.jit(decode)(params))


@pytest.mark.parametrize(('scan_layers', 'traced_position'), [(False, False), (True, True)])
def test_decoding_beams_equals_teacher_forcing(
    config, deep_params, make_model, batch, scan_layers, traced_position
):
    beams = np.random.default_rng(2).integers(1, config.vocab_size, (5, 3, 4))
    module = Transformer(dataclasses.replace(config, scan_layers=scan_layers, **TWO_LAYERS))
    model = make_model(**TWO_LAYERS)
    run = stack_layers(deep_params) if scan_layers else deep_params
    decoded = decode_all(module, run, batch, beams, traced_position)
    for beam in range(3):
        forced = model.convert_features({'inputs': batch['encoder_input_tokens'], 'targets': beams[:, beam]})
        np.testing.assert_allclose(decoded[:, beam], logits_of(model, deep_params, forced), atol=1e-5)


def test_reordered_cache_follows_its_beams(config, params, batch):
    """A search reorders beams between steps: permuting the cache likewise permutes the logits, no more."""
    module = Transformer(config)
    variables = {'params': params}
    tokens = jnp.asarray(batch['encoder_input_tokens'])
    encoded = jax.jit(lambda: module.apply(variables, tokens, method='encode'))()
    cross_kv = jax.jit(lambda: module.apply(variables, encoded, method='cross_keys_values'))()

    @jax.jit
    def step(newest, position, cache):
        return module.apply(variables, newest, position, cache, cross_kv, tokens > 0, method='decode_beams')

    first = jnp.asarray(np.random.default_rng(3).integers(1, config.vocab_size, (5, 4)))
    order = jnp.asarray([2, 0, 3, 3])
    _, cache = step(first, 0, module.init_self_cache(5, 4, 2))
    kept, _ = step(first, 1, cache)
    moved, _ = step(first[:, order], 1, jax.tree.map(lambda leaf: leaf[:, order], cache))
    np.testing.assert_allclose(moved, kept[:, order], atol=1e-6)


@pytest.fixture(scope='module')
def loss_and_gradients(make_model, deep_params, batch):
    model = make_model(**TWO_LAYERS)
    return jax.jit(jax.value_and_grad(lambda params: model.loss_sums(params, batch)[0]))(deep_params)


@pytest.mark.parametrize(
    ('remat_policy', 'scan_layers'), [('none', True), ('minimal', True), ('full', False)]
)
def test_scan_and_remat_leave_loss_and_gradients(
    make_model, deep_params, batch, loss_and_gradients, remat_policy, scan_layers
):
    model = make_model(remat_policy=remat_policy, scan_layers=scan_layers, **TWO_LAYERS)
    run = stack_layers(deep_params) if scan_layers else deep_params
    loss, gradients = jax.jit(jax.value_and_grad(lambda params: model.loss_sums(params, batch)[0]))(run)
    gradients = unstack_layers(gradients) if scan_layers else gradients
    np.testing.assert_allclose(loss, loss_and_gradients[0], rtol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), gradients, loss_and_gradients[1])


def test_full_remat_keeps_less_for_the_backward_pass(make_model, batch):
    def kept_bytes(remat_policy):
        model = make_model(remat_policy=remat_policy)
        shapes = {name: feature.shape for name, feature in batch.items()}
        params = jax.eval_shape(lambda: model.get_initial_variables(jax.random.key(0), shapes)['params'])
        _, kept = jax.eval_shape(
            lambda params: jax.vjp(lambda p: model.loss_sums(p, batch)[0], params), params
        )
        return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(kept))

    assert kept_bytes('full') < kept_bytes('minimal') < kept_bytes('none')


@pytest.mark.parametrize('scan_layers', [False, True])
def test_dropout_is_a_function_of_its_key(make_model, params, batch, scan_layers):
    model = make_model(dropout_rate=0.3, scan_layers=scan_layers)
    run = stack_layers(params) if scan_layers else params
    logits = jax.jit(model.compute_logits)
    first, again, other = (logits(run, batch, jax.random.key(seed)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3
    assert np.abs(first - logits(run, batch)).max() > 1e-3


def test_dropout_masks_are_shared_along_the_length(make_model, params, batch):
    """T5X's choice. With every token the same and one constant bias, all positions must stay equal."""
    model = make_model(dropout_rate=0.5)
    params = jax.tree.map(lambda leaf: leaf, params)
    params['encoder']['relpos_bias']['rel_embedding'] = jnp.zeros((2, 32))
    tokens = jnp.full((2, 6), 7)
    encoded = jax.jit(
        lambda params, key: model.module.apply(
            {'params': params}, tokens, None, True, rngs={'dropout': key}, method='encode'
        )
    )(params, jax.random.key(0))
    np.testing.assert_allclose(encoded, jnp.broadcast_to(encoded[:, :1], encoded.shape), atol=1e-5)
    assert np.abs(encoded[0] - encoded[1]).max() > 1e-2


def test_bfloat16_stays_near_float32(make_model, model, params, batch):
    half = make_model(dtype='bfloat16')
    logits = compiled(half)(params, batch)
    assert logits.dtype == jnp.float32
    full = logits_of(model, params, batch)
    assert np.isfinite(logits).all()
    assert np.abs(logits - full).max() < 0.05 * np.abs(full).max()
    gradients = jax.jit(jax.grad(lambda p: half.loss_sums(p, batch)[0]))(params)
    assert all(leaf.dtype == jnp.float32 and np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


def test_one_hot_embedding_is_the_gather(make_model, model, params, batch):
    np.testing.assert_allclose(
        logits_of(make_model(one_hot_embedding=True), params, batch),
        logits_of(model, params, batch),
        atol=1e-5,
    )


def test_tied_head_reads_the_embedding(make_model, params, batch):
    tied = make_model(logits_via_embedding=True)
    params = params | {'decoder': {k: v for k, v in params['decoder'].items() if k != 'logits_dense'}}
    untied = make_model()
    kernel = params['token_embedder']['embedding'].T / np.sqrt(16)
    as_untied = params | {'decoder': params['decoder'] | {'logits_dense': {'kernel': kernel}}}
    np.testing.assert_allclose(logits_of(tied, params, batch), logits_of(untied, as_untied, batch), atol=1e-5)


def test_relative_positions_beyond_the_maximum_share_a_bucket():
    both = relative_position_buckets(300, 300, bidirectional=True)
    causal = relative_position_buckets(300, 300, bidirectional=False)
    assert both.min() == 0 and both.max() == 31 and causal.max() == 31
    assert (causal[np.triu_indices(300)] == 0).all()
    # 8 exact buckets a side, then 16 to 22 in the next but one: Mesh TensorFlow's table.
    assert both[:12, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8]
    assert both[0, :3].tolist() == [0, 17, 18]
    assert len(set(both[128:, 0].tolist())) == 1 and len(set(causal[128:, 0].tolist())) == 1


def test_decoding_through_call_is_refused(model, params, batch):
    tokens = jnp.asarray(batch['encoder_input_tokens'])
    with pytest.raises(ValueError, match='decode_beams'):
        model.module.apply({'params': params}, tokens, tokens, tokens, decode=True)
