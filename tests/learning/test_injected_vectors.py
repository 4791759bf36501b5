"""Titles say one half of what comes next, vectors the other: only who reads both knows it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from llmrec_jax.models.decoder_only import DecoderConfig
from llmrec_jax.models.injected_decoder import InjectedDecoder, InjectedDecoderModel
from llmrec_jax.models.injected_decoder.model import ITEMS
from llmrec_jax.models.injected_decoder.network import TABLE
from llmrec_jax.models.transfer.frozen_tables import filled_table

pytestmark = pytest.mark.slow
HALVES, PLACEHOLDER, ASKED = 4, 30, 31
NETWORK = DecoderConfig(
    vocab_size=32, emb_dim=32, num_layers=1, num_heads=2, num_kv_heads=1, head_dim=16, mlp_dim=64
)
N_ITEMS = HALVES * HALVES


def task_batch(items, with_vectors=True, shown_text=True):
    """Title and vector of an item, by its halves; the answer is another token for each pair of them."""
    titles = 2 + items // HALVES if shown_text else np.full_like(items, 29)
    middle = np.full_like(items, PLACEHOLDER if with_vectors else 28)
    return {
        'inputs': np.stack([titles, middle, np.full_like(items, ASKED)], axis=1),
        'targets': 10 + items[:, None],
        ITEMS: (items[:, None] + 1) * with_vectors,
    }


def accuracy(seed: int, *, vectors=None, **shown) -> float:
    """Of the answers after a short training; vectors say an item's second half unless others are given."""
    rng = np.random.default_rng(seed)
    of_halves = rng.standard_normal((HALVES, 6))
    own = of_halves[np.arange(N_ITEMS) % HALVES] if vectors is None else vectors(rng, of_halves)
    model = InjectedDecoderModel(InjectedDecoder(NETWORK)).for_catalogue(N_ITEMS, 6, PLACEHOLDER)
    batch = {
        name: jnp.asarray(feature)
        for name, feature in model.convert_features(task_batch(np.arange(N_ITEMS), **shown)).items()
    }
    shapes = {name: feature.shape for name, feature in batch.items()}
    params = jax.jit(lambda: model.get_initial_variables(jax.random.key(seed), shapes)['params'])()
    params = {**params, TABLE: jnp.asarray(filled_table(own))}
    optimizer = optax.adam(1e-2)

    @jax.jit
    def trained(params):
        def update(carried, _):
            params, state = carried
            gradient = jax.grad(lambda params: model.loss_sums(params, batch)[0])(params)
            updates, state = optimizer.update(gradient, state)
            return (optax.apply_updates(params, updates), state), None

        (params, _), _ = jax.lax.scan(update, (params, optimizer.init(params)), None, length=300)
        _, weight, sums = model.loss_sums(params, batch)
        return sums['accuracy'] / weight

    return float(trained(params))


@pytest.mark.parametrize('seed', range(3))
def test_both_together_are_more_than_either_and_vectors_of_others_are_none(seed):
    both = accuracy(seed)
    text = accuracy(seed, with_vectors=False)
    ids = accuracy(seed, shown_text=False)
    # One vector for all items of a title says no more than the title.
    of_titles = accuracy(seed, vectors=lambda rng, halves: halves[np.arange(N_ITEMS) // HALVES])
    assert both == 1
    assert text == ids == of_titles == 1 / HALVES
