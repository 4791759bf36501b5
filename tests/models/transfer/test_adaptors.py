import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.models.transfer.adaptors import MixtureAdaptor, ParametricWhitening, whitening_of


@pytest.fixture(scope='module')
def vectors():
    # Correlated, and away from the origin.
    rng = np.random.default_rng(0)
    return (rng.standard_normal((200, 6)) @ rng.standard_normal((6, 6)) + 3).astype(np.float32)


@pytest.mark.parametrize(('method', 'dim'), [('pca', 6), ('pca', 3), ('zca', 6)])
def test_whitening_set_from_the_data_gives_covariance_one(vectors, method, dim):
    kernel, shift = whitening_of(vectors, dim, method)
    whitened = ParametricWhitening(dim).apply(
        {'params': {'kernel': kernel, 'shift': shift}}, jnp.asarray(vectors), enable_dropout=False
    )
    np.testing.assert_allclose(np.mean(whitened, axis=0), np.zeros(dim), atol=1e-3)
    np.testing.assert_allclose(np.cov(whitened, rowvar=False, bias=True), np.eye(dim), atol=1e-3)


def test_zca_is_the_whitening_nearest_to_the_vectors(vectors):
    centred = vectors - vectors.mean(axis=0)
    distance = {}
    for method in ('pca', 'zca'):
        kernel, shift = whitening_of(vectors, 6, method)
        distance[method] = np.square((vectors - shift) @ kernel - centred).sum()
    assert distance['zca'] < distance['pca']


def test_whitening_that_the_vectors_do_not_allow(vectors):
    with pytest.raises(ValueError, match='zca whitening of vectors of width 6 gives 6 dimensions, not 3'):
        whitening_of(vectors, 3, 'zca')
    with pytest.raises(ValueError, match='at most 6 dimensions, not 7'):
        whitening_of(vectors, 7)
    with pytest.raises(ValueError, match='vary in 2 directions only: ask for at most 2'):
        whitening_of(np.repeat(vectors[:, :2], 3, axis=1), 4)
    with pytest.raises(ValueError, match="'cholesky' must be one of"):
        whitening_of(vectors, 3, 'cholesky')


def test_one_expert_is_parametric_whitening(vectors):
    kernel, shift = whitening_of(vectors, 4)
    alone = ParametricWhitening(4).apply(
        {'params': {'kernel': kernel, 'shift': shift}}, jnp.asarray(vectors), enable_dropout=False
    )
    adaptor = MixtureAdaptor(4, experts=1)
    params = dict(adaptor.init(jax.random.key(0), jnp.asarray(vectors), enable_dropout=False)['params'])
    params |= {'kernel': kernel[None], 'shift': shift[None], 'gate': np.ones((6, 1), np.float32)}
    mixed = adaptor.apply({'params': params}, jnp.asarray(vectors), enable_dropout=False)
    np.testing.assert_allclose(mixed, alone, atol=1e-4)


def test_the_gate_weighs_the_experts_by_the_text(vectors):
    rng = np.random.default_rng(1)
    params = {
        'kernel': rng.standard_normal((3, 6, 4)).astype(np.float32),
        'shift': rng.standard_normal((3, 6)).astype(np.float32),
        'gate': rng.standard_normal((6, 3)).astype(np.float32),
        'gate_noise': rng.standard_normal((6, 3)).astype(np.float32),
    }
    mixed = MixtureAdaptor(4, experts=3).apply({'params': params}, jnp.asarray(vectors), enable_dropout=False)
    for row in (0, 77):
        weights = np.exp(vectors[row] @ params['gate'])
        experts = [(vectors[row] - params['shift'][e]) @ params['kernel'][e] for e in range(3)]
        expected = sum(weights[e] * experts[e] for e in range(3)) / weights.sum()
        np.testing.assert_allclose(mixed[row], expected, rtol=1e-3, atol=1e-3)


def test_the_gate_is_noisy_in_training_alone(vectors):
    adaptor = MixtureAdaptor(4, experts=3, dropout=0.0)
    params = adaptor.init(jax.random.key(0), jnp.asarray(vectors), enable_dropout=False)['params']

    def run(adaptor, params, seed, train):
        rngs = {'dropout': jax.random.key(seed)}
        found = adaptor.apply({'params': params}, jnp.asarray(vectors), enable_dropout=train, rngs=rngs)
        return np.asarray(found)

    np.testing.assert_array_equal(run(adaptor, params, 0, False), run(adaptor, params, 1, False))
    assert not np.allclose(run(adaptor, params, 0, True), run(adaptor, params, 1, True))
    quiet = {name: value for name, value in params.items() if name != 'gate_noise'}
    np.testing.assert_array_equal(
        run(adaptor.clone(noise=False), quiet, 0, True), run(adaptor, params, 0, False)
    )
