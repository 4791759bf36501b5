"""SASRec's states and scores against its equations in numpy: one user at a time, no padding, no mask."""

import jax
import numpy as np
import pytest

from llmrec_jax.models.sequential.item_encoder import CatalogueFacts, ItemTable
from llmrec_jax.models.sequential.losses import FullSoftmax
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel
from llmrec_jax.models.sequential.sasrec import SASRecConfig, SASRecEncoder

ITEMS, WIDTH, DIM = 20, 7, 12
HISTORIES = ([3, 1, 4, 1, 5, 9, 2], [6, 5, 3], [20])


def affine(weights, inputs):
    return inputs @ weights['kernel'] + weights['bias']


def layer_norm(weights, inputs):
    variance = inputs.var(axis=-1, keepdims=True)
    return (inputs - inputs.mean(axis=-1, keepdims=True)) / np.sqrt(variance + 1e-8) * weights[
        'scale'
    ] + weights['bias']


def attention(weights, queries, keys, heads, project):
    """Each position reads itself and those before it, a position and a head at a time."""
    query, key, value = (
        affine(weights[name], inputs) for name, inputs in (('query', queries), ('key', keys), ('value', keys))
    )
    width, read = DIM // heads, np.zeros_like(query)
    for position in range(len(queries)):
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            scores = key[: position + 1, part] @ query[position, part] / np.sqrt(width)
            weight = np.exp(scores - scores.max())
            read[position, part] = weight / weight.sum() @ value[: position + 1, part]
    return affine(weights['out'], read) if project else read


def forward(params, items, config):
    """Scores of all items after `items`, in float64."""
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    table, weights = params['item_encoder']['embedding'][:ITEMS], params['sequence_encoder']
    vectors, positions = table[np.array(items) - 1], weights['positions']['embedding'][-len(items) :]
    if config.input_norm:
        states = layer_norm(weights['input_norm'], vectors + positions)
    else:
        states = vectors * np.sqrt(DIM) + positions
    original = config.block_order == 'original'
    for layer in range(config.num_layers):
        block = weights[f'layers_{layer}']
        normalized = layer_norm(block['attention_norm'], states)
        keys, residual = (states, normalized) if original else (normalized, states)
        states = residual + attention(
            block['attention'], normalized, keys, config.num_heads, project=not original
        )
        normalized = layer_norm(block['feed_forward_norm'], states)
        feed_forward = block['feed_forward']
        hidden = np.maximum(affine(feed_forward['wi'], normalized), 0)
        states = (normalized if original else states) + affine(feed_forward['wo'], hidden)
    return layer_norm(weights['final_norm'], states)[-1] @ table.T


@pytest.mark.parametrize(
    'order, heads, input_norm', [('original', 3, False), ('pre_norm', 2, False), ('pre_norm', 2, True)]
)
def test_scores_equal_those_of_numpy(order, heads, input_norm):
    config = SASRecConfig(
        max_length=WIDTH, num_heads=heads, mlp_dim=9, block_order=order, input_norm=input_norm
    )
    model = SequentialRecommenderModel(ItemTable(DIM), SASRecEncoder(config), FullSoftmax())
    model = model.for_catalogue(CatalogueFacts(ITEMS))
    init = jax.jit(lambda key: model.get_initial_variables(key, {})['params'])
    noise = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: leaf + 0.2 * noise.standard_normal(leaf.shape).astype(np.float32),
        init(jax.random.key(0)),
    )
    tokens = np.array([[0] * (WIDTH - len(items)) + items for items in HISTORIES], np.int32)
    scores = np.asarray(jax.jit(model.scores)(params, tokens))[:, :ITEMS]
    expected = np.stack([forward(params, items, config) for items in HISTORIES])
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(scores, expected, atol=1e-5)
