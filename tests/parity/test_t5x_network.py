"""Our network against T5X's own on the same parameters, where T5X is installed."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.models.t5 import T5Config, Transformer

pytestmark = pytest.mark.parity
CONFIG = T5Config(
    vocab_size=60,
    emb_dim=24,
    num_heads=3,
    head_dim=8,
    mlp_dim=40,
    num_encoder_layers=2,
    num_decoder_layers=3,
)


@pytest.mark.parametrize('tied', [False, True])
@pytest.mark.parametrize('activations', [('relu',), ('gelu', 'linear')])
def test_parameters_and_logits_are_those_of_t5x(tied, activations):
    network = pytest.importorskip('t5x.examples.t5.network')
    config = dataclasses.replace(CONFIG, mlp_activations=activations, logits_via_embedding=tied)
    shared = {field.name for field in dataclasses.fields(network.T5Config)}
    fields = {name: value for name, value in dataclasses.asdict(config).items() if name in shared}
    theirs = network.Transformer(network.T5Config(**fields))
    ours = Transformer(config)

    rng = np.random.default_rng(0)
    lengths = np.array([150, 40, 7])
    inputs = jnp.asarray(rng.integers(1, 60, (3, 150)) * (np.arange(150) < lengths[:, None]))
    targets = jnp.asarray(rng.integers(1, 60, (3, 9)) * (np.arange(9) < np.array([9, 4, 1])[:, None]))
    shifted = jnp.pad(targets, ((0, 0), (1, 0)))[:, :-1]
    arguments = (inputs, shifted, targets)

    # Made by T5X, the parameters must have our tree, and their initializers our scale.
    variables = theirs.init(jax.random.key(0), *arguments, enable_dropout=False)
    own = ours.init(jax.random.key(0), *arguments, enable_dropout=False)
    assert jax.tree.map(jnp.shape, variables['params']) == jax.tree.map(jnp.shape, own['params'])
    assert jax.tree.leaves(variables['params_axes']) == jax.tree.leaves(own['params_axes'])

    def spread(leaf):
        return float(jnp.std(leaf)) if leaf.size > 200 else 0.0

    spreads = jax.tree.map(lambda a, b: (spread(a), spread(b)), variables['params'], own['params'])
    for path, (first, second) in jax.tree_util.tree_leaves_with_path(
        spreads, is_leaf=lambda x: isinstance(x, tuple)
    ):
        assert first == pytest.approx(second, rel=0.25), jax.tree_util.keystr(path)

    params = jax.tree.map(lambda leaf: leaf + 0.1 * rng.standard_normal(leaf.shape), variables['params'])
    expected = theirs.apply({'params': params}, *arguments, enable_dropout=False)
    actual = ours.apply({'params': params}, *arguments, enable_dropout=False)
    real = np.asarray(targets) > 0
    scale = np.abs(expected[real]).max()
    np.testing.assert_allclose(
        np.asarray(actual)[real], np.asarray(expected)[real], atol=1e-5 * max(scale, 1)
    )
