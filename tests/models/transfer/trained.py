"""Trains the models of transfer on planted domains by a bare loop, and asks them about another domain."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from llmrec_jax.models.sequential.item_encoder import CatalogueFacts
from llmrec_jax.models.sequential.losses import FullSoftmax
from llmrec_jax.models.sequential.network import Scoring
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel
from llmrec_jax.models.sequential.sasrec import SASRecConfig, SASRecEncoder
from llmrec_jax.models.transfer.frozen_tables import filled_table
from tests.models.transfer.planted_domains import TOPICS

LENGTH = 8
ADAM = optax.adam(1e-2)


def sequence_encoder():
    config = SASRecConfig(
        max_length=LENGTH,
        num_layers=1,
        mlp_dim=16,
        dropout_rate=0.1,
        block_order='pre_norm',
        input_norm=True,
    )
    return SASRecEncoder(config)


def facts(*domains):
    vectors = np.concatenate([domain.vectors for domain in domains])
    return CatalogueFacts(len(vectors), vectors=vectors)


def tokens(*domains):
    """Whole sequences of several domains, whose items follow one another in one catalogue."""
    first = np.cumsum([1, *(len(domain.topic) for domain in domains)])
    return np.concatenate(
        [domain.histories.values.reshape(-1, LENGTH) + start for domain, start in zip(domains, first)]
    ).astype(np.int32)


def start(model, **tables):
    """Parameters with the tables of the catalogue filled."""
    params = dict(model.get_initial_variables(jax.random.key(0), {})['params'])
    held = {name: jnp.asarray(filled_table(table)) for name, table in tables.items()}
    return {**params, 'item_encoder': {**params['item_encoder'], **held}}


def fit(model, batch, params, optimizer=ADAM, steps=120, rows=128):
    """Parameters after some steps."""
    state, update = optimizer.init(params), _update(model, optimizer)
    rng = np.random.default_rng(0)
    for step in range(steps):
        chosen = rng.integers(0, len(next(iter(batch.values()))), rows)
        params, state = update(
            params, state, {name: feature[chosen] for name, feature in batch.items()}, step
        )
    return params


@functools.lru_cache(maxsize=8)
def _update(model, optimizer):
    @jax.jit
    def update(params, state, batch, step):
        def loss(params):
            total, weight, _ = model.loss_sums(params, batch, jax.random.fold_in(jax.random.key(1), step))
            return total / weight

        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    return update


def recommender(item_encoder, temperature=0.07, cosine=True):
    return SequentialRecommenderModel(
        item_encoder, sequence_encoder(), FullSoftmax(), scoring=Scoring(cosine, temperature)
    )


def follows_the_law(model, params, domain, law):
    """Share of histories after which the best item's topic is the one that the law says."""
    sequences = tokens(domain)
    scores = jax.jit(model.scores)(params, jnp.asarray(sequences[:, :-1]))
    best = np.asarray(scores).argmax(axis=1)
    return float(np.mean(domain.topic[best] == law[domain.topic[sequences[:, -2] - 1]]))


def shuffled_order(domain, seed=0):
    """The same items in each history, in another order."""
    values = np.random.default_rng(seed).permuted(domain.histories.values.reshape(-1, LENGTH), axis=1)
    return type(domain)(
        domain.topic, domain.vectors, type(domain.histories)(values.reshape(-1), domain.histories.offsets)
    )


def shuffled_text(domain, seed=0):
    """The same texts, each of another item."""
    order = np.random.default_rng(seed).permutation(len(domain.vectors))
    return type(domain)(domain.topic, domain.vectors[order], domain.histories)


CHANCE = 1 / TOPICS
