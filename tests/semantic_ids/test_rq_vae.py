import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from llmrec_jax.semantic_ids.diagnostics import check_health, diagnose
from llmrec_jax.semantic_ids.residual_kmeans import residual_codebooks
from llmrec_jax.semantic_ids.rq_vae.network import RqVaeNetwork, residual_codes, rq_vae_loss
from llmrec_jax.semantic_ids.rq_vae.quantizer import RqVae
from llmrec_jax.semantic_ids.rq_vae.training import RqVaeOptimizer, revive
from tests.semantic_ids.planted import gaussian_tree

NETWORK = RqVaeNetwork(dim=10, hidden_sizes=(12, 8), latent_dim=4, codebook_sizes=(6, 5, 7))
SMALL = RqVae((8, 8), hidden_sizes=(32,), latent_dim=8, steps=60, batch_size=128, round_steps=20)


@pytest.fixture(scope='module')
def batch():
    return jnp.asarray(np.random.default_rng(0).standard_normal((9, 10)), jnp.float32)


@pytest.fixture(scope='module')
def params(batch):
    return jax.jit(NETWORK.init)(jax.random.key(0), batch)['params']


apply = jax.jit(NETWORK.apply, static_argnames='method')


@functools.partial(jax.jit, static_argnames='beta')
def loss_of(params, batch, beta=0.25):
    return rq_vae_loss(batch, NETWORK.apply({'params': params}, batch), beta)


def test_the_network_has_the_papers_shape():
    network = RqVaeNetwork(768, (512, 256, 128), 32, (256, 256, 256))
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), jnp.zeros((1, 768))))['params']

    def kernels(part):
        return [shapes[part][f'Dense_{n}']['kernel'].shape for n in range(4)]

    assert kernels('encoder') == [(768, 512), (512, 256), (256, 128), (128, 32)]
    assert kernels('decoder') == [(32, 128), (128, 256), (256, 512), (512, 768)]
    assert [shapes[f'codebook_{level}'].shape for level in range(3)] == [(256, 32)] * 3


def test_latent_is_the_sum_of_its_codewords_and_the_remainder(batch, params):
    quantized = apply({'params': params}, batch).quantized
    z = apply({'params': params}, batch, method='encode')
    np.testing.assert_allclose(quantized.codewords.sum(axis=1) + quantized.remainder, z, atol=1e-6)
    for level in range(3):
        codebook = params[f'codebook_{level}']
        distances = ((quantized.residuals[:, level][:, None] - codebook[None]) ** 2).sum(-1)
        np.testing.assert_array_equal(quantized.codes[:, level], np.argmin(distances, axis=1))
        np.testing.assert_array_equal(quantized.codewords[:, level], codebook[quantized.codes[:, level]])


def test_loss_equals_the_formula_summed_over_dimensions(batch, params):
    x, weights = np.asarray(batch, np.float64), jax.tree.map(lambda p: np.asarray(p, np.float64), params)

    def mlp(part, h):
        for n in range(3):
            h = h @ weights[part][f'Dense_{n}']['kernel'] + weights[part][f'Dense_{n}']['bias']
            h = np.maximum(h, 0) if n < 2 else h
        return h

    residual, z_hat, quantization = mlp('encoder', x), 0, 0
    for level in range(3):
        codebook = weights[f'codebook_{level}']
        chosen = codebook[((residual[:, None] - codebook[None]) ** 2).sum(-1).argmin(axis=1)]
        residual, z_hat = residual - chosen, z_hat + chosen
        quantization += 1.25 * (residual**2).sum(axis=1).mean()
    reconstruction = ((x - mlp('decoder', z_hat)) ** 2).sum(axis=1).mean()
    loss = loss_of(params, batch)
    np.testing.assert_allclose(loss.reconstruction, reconstruction, rtol=1e-4)
    np.testing.assert_allclose(loss.quantization, quantization, rtol=1e-4)
    np.testing.assert_allclose(loss.total, reconstruction + quantization, rtol=1e-4)


def test_the_gradient_passes_the_quantizer_to_the_encoder(batch, params):
    gradients = jax.jit(jax.grad(lambda p: loss_of(p, batch).reconstruction))(params)
    assert all(jnp.abs(g).max() > 0 for g in jax.tree.leaves(gradients['encoder']))
    # Straight through: to the encoder, the decoder's input is z itself.
    z = apply({'params': params}, batch, method='encode')
    z_hat = residual_codes(z, [params[f'codebook_{n}'] for n in range(3)]).codewords.sum(axis=1)

    def decoded(latents):
        return jnp.mean(
            jnp.sum((batch - NETWORK.apply({'params': params}, latents, method='decode')) ** 2, axis=1)
        )

    @jax.jit
    def pulled(params, z_hat):
        _, pull = jax.vjp(lambda p: NETWORK.apply({'params': p}, batch, method='encode'), params)
        return pull(jax.grad(decoded)(z_hat))

    (expected,) = pulled(params, z_hat)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
        gradients['encoder'],
        expected['encoder'],
    )


def test_only_chosen_codewords_have_a_gradient_and_it_pulls_them_to_their_residuals(batch, params):
    gradients = jax.jit(jax.grad(lambda p: loss_of(p, batch).total))(params)
    quantized = apply({'params': params}, batch).quantized
    for level, size in enumerate(NETWORK.codebook_sizes):
        gradient = np.asarray(gradients[f'codebook_{level}'])
        for code in range(size):
            chosen = np.asarray(quantized.codes[:, level]) == code
            pull = 2 * (quantized.codewords[:, level] - quantized.residuals[:, level])[chosen].sum(axis=0)
            np.testing.assert_allclose(gradient[code], pull / len(batch), atol=1e-5)


def test_commitment_weight_moves_the_encoder_alone(batch, params):
    with_beta, without = (
        jax.jit(jax.grad(lambda p, b=b: loss_of(p, batch, b).quantization))(params) for b in (0.5, 0.0)
    )
    assert all(jnp.abs(g).max() == 0 for g in jax.tree.leaves(without['encoder']))
    assert all(jnp.abs(g).max() > 0 for g in jax.tree.leaves(with_beta['encoder']))
    np.testing.assert_array_equal(with_beta['codebook_0'], without['codebook_0'])


def test_a_mean_over_dimensions_would_collapse_what_the_sum_keeps():
    """papers 6: under the mean, the quantization term shrinks the latents, and codewords die."""
    rng = np.random.default_rng(0)
    plane = rng.standard_normal((512, 6)) @ rng.standard_normal((6, 256))
    vectors = jnp.asarray(plane / np.linalg.norm(plane, axis=1, keepdims=True), jnp.float32)
    network = RqVaeNetwork(256, (32,), 8, (16, 16))
    start = jax.jit(network.init)(jax.random.key(0), vectors)['params']
    z = np.asarray(jax.jit(functools.partial(network.apply, method='encode'))({'params': start}, vectors))
    for level, (codebook, _) in enumerate(residual_codebooks(z, (16, 16), jax.random.key(1), 10, 512)):
        start[f'codebook_{level}'] = jnp.asarray(codebook)
    optimizer = optax.adam(3e-3)

    @jax.jit
    def run(reconstruction_weight, state):
        def loss_fn(params):
            loss = rq_vae_loss(vectors, network.apply({'params': params}, vectors), 0.25)
            return reconstruction_weight * loss.reconstruction + loss.quantization

        def step(state, _):
            params, optimizer_state = state
            updates, optimizer_state = optimizer.update(jax.grad(loss_fn)(params), optimizer_state)
            return (optax.apply_updates(params, updates), optimizer_state), None

        (params, _), _ = jax.lax.scan(step, state, length=300)
        return network.apply({'params': params}, vectors)

    def trained(reconstruction_weight):
        output = run(reconstruction_weight, (start, optimizer.init(start)))
        unexplained = rq_vae_loss(vectors, output, 0.25).reconstruction / vectors.var(axis=0).sum()
        in_use = len(np.unique(output.quantized.codes[:, 0]))
        return float(unexplained), float(output.quantized.residuals[:, 0].var(axis=0).sum()), in_use

    summed_error, summed_spread, summed_in_use = trained(1.0)
    mean_error, mean_spread, mean_in_use = trained(1 / 256)
    assert mean_error > 1.5 * summed_error
    assert mean_spread < summed_spread / 50
    assert summed_in_use == 16 > mean_in_use


def test_dead_codewords_move_to_different_residuals_and_the_living_stay():
    residuals = jnp.asarray(np.random.default_rng(1).standard_normal((50, 4)), jnp.float32)
    codebook = jnp.full((6, 4), 100.0).at[2].set(residuals[0])
    revived = revive(codebook, residuals, 0.05, jax.random.key(0))
    np.testing.assert_array_equal(revived[2], codebook[2])
    rows = {int(np.flatnonzero((np.asarray(residuals) == row).all(axis=1))[0]) for row in np.asarray(revived)}
    assert len(rows) == 6
    assert len(np.unique(residual_codes(residuals, [revived]).codes)) == 6
    np.testing.assert_array_equal(revive(revived, residuals, 0.0, jax.random.key(1)), revived)


def test_training_lowers_the_loss_and_keeps_every_codeword_in_use():
    vectors = gaussian_tree(600)[0]
    quantization = dataclasses.replace(SMALL, steps=200).quantize(vectors, 0)
    history = quantization.history
    assert set(history) == {'loss', 'reconstruction', 'quantization', 'usage_0', 'usage_1'}
    assert len(history['loss']) == 10
    assert history['loss'][-1] < 0.5 * history['loss'][0]
    found = diagnose(quantization, vectors)
    assert min(found['usage']) == 1
    assert found['reconstruction_error'] < 0.2
    assert check_health(found, max_collision_rate=1.0) == []


def test_a_round_revives_codewords_that_a_shift_of_the_latents_left_behind():
    # A learning rate this high throws the latents off the start of the codebooks at once.
    wild = dataclasses.replace(
        SMALL, codebook_sizes=(64, 64), optimizer=RqVaeOptimizer(learning_rate=0.03), steps=200
    )
    vectors = gaussian_tree(600)[0]
    left = dataclasses.replace(wild, dead_share=-1.0).quantize(vectors, 0).history
    revived = wild.quantize(vectors, 0).history
    assert revived['usage_0'][-1] > left['usage_0'][-1] + 0.2


def test_the_papers_optimizer_trains_too():
    vectors = gaussian_tree(600)[0]
    adagrad = dataclasses.replace(SMALL, optimizer=RqVaeOptimizer('adagrad', learning_rate=0.4), steps=200)
    history = adagrad.quantize(vectors, 0).history
    assert history['reconstruction'][-1] < history['reconstruction'][0]


def test_divergence_is_an_error_that_names_the_learning_rate():
    vectors = gaussian_tree(600)[0]
    with pytest.raises(FloatingPointError, match=r'diverged between steps .* lower the learning rate'):
        dataclasses.replace(SMALL, optimizer=RqVaeOptimizer('adagrad', learning_rate=1e30)).quantize(
            vectors, 0
        )


def test_weight_decay_leaves_codewords_and_biases_alone():
    optimizer = RqVaeOptimizer(weight_decay=0.1, warmup_steps=0).build(10)
    params = {
        'codebook_0': jnp.ones((2, 2)),
        'encoder': {'Dense_0': {'kernel': jnp.ones(2), 'bias': jnp.ones(2)}},
    }
    nothing = jax.tree.map(jnp.zeros_like, params)
    updates, _ = optimizer.update(nothing, optimizer.init(params), params)
    assert float(jnp.abs(updates['codebook_0']).max()) == 0
    assert float(jnp.abs(updates['encoder']['Dense_0']['bias']).max()) == 0
    assert float(updates['encoder']['Dense_0']['kernel'].max()) < 0


def test_batches_larger_than_the_catalogue_and_a_broken_last_round():
    vectors = gaussian_tree(100)[0]
    quantization = dataclasses.replace(SMALL, batch_size=256, steps=50, round_steps=20).quantize(vectors, 0)
    assert len(quantization.history['loss']) == 3
