"""The towers: an item by id and text, a history by its items, and both in the engine."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.models.sequential.item_encoder import CatalogueFacts, ItemEncoder
from llmrec_jax.models.sequential.network import Scoring, SequenceEncoder
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel
from llmrec_jax.models.two_tower.in_batch_softmax import InBatchSoftmax
from llmrec_jax.models.two_tower.towers import HistoryTower, ItemTower
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.mesh import MeshShape
from llmrec_jax.training.metrics_log import read_json_lines
from llmrec_jax.training.optimizers import AdamW
from llmrec_jax.training.parameter_restore import load_params
from llmrec_jax.training.schedules import Constant
from llmrec_jax.training.trainer import Trainer

N_ITEMS = 20
RNG = np.random.default_rng(0)
TEXTS = RNG.normal(size=(N_ITEMS, 6)).astype(np.float32)
FACTS = CatalogueFacts(N_ITEMS, np.arange(N_ITEMS, dtype=float), TEXTS)
BLANK = SequentialRecommenderModel(
    ItemTower(8, id_dim=4, hidden=(8,)),
    HistoryTower(hidden=(8,), dropout_rate=0.1),
    InBatchSoftmax(),
    scoring=Scoring(cosine=True, temperature=0.1),
)
MODEL = BLANK.for_catalogue(FACTS)


def initial(tower, *inputs, **named):
    return jax.jit(lambda: tower.init(jax.random.key(0), *inputs, **named)['params'])()


def apply(tower, params, *inputs, **named):
    return np.asarray(jax.jit(lambda params: tower.apply({'params': params}, *inputs, **named))(params))


def test_an_item_is_the_same_alone_and_in_the_table():
    tower = ItemTower(8).for_catalogue(FACTS)
    assert isinstance(tower, ItemEncoder)
    params = initial(tower, jnp.ones((1,), int))
    tokens = jnp.array([[0, 1], [20, 7]])
    found = apply(tower, params, tokens)
    table = apply(tower, params, method='table')
    assert (found[0, 0] == 0).all()
    np.testing.assert_allclose(found.reshape(4, 8)[1:], table[[0, 19, 6]], rtol=1e-5, atol=1e-6)


def test_text_is_read_and_never_trained():
    tower = ItemTower(8).for_catalogue(FACTS)
    params = initial(tower, jnp.ones((1,), int))
    np.testing.assert_array_equal(params['text'][:N_ITEMS], TEXTS)
    gradient = jax.jit(jax.grad(lambda params: tower.apply({'params': params}, jnp.arange(1, 21)).sum()))(
        params
    )
    assert (gradient['text'] == 0).all() and (gradient['embedding'][:N_ITEMS] != 0).any()
    other = {**params, 'text': params['text'] + 1}
    assert (
        tower.apply({'params': other}, jnp.ones(1, int)) != tower.apply({'params': params}, jnp.ones(1, int))
    ).any()


def test_by_text_alone_items_of_one_text_are_one():
    texts = TEXTS.copy()
    texts[7] = texts[3]
    tower = ItemTower(8, id_dim=0, hidden=()).for_catalogue(CatalogueFacts(N_ITEMS, vectors=texts))
    table = apply(tower, initial(tower, jnp.ones((1,), int)), method='table')
    np.testing.assert_array_equal(table[7], table[3])
    assert (table[7] != table[4]).any()


def test_a_tower_that_would_read_nothing_is_refused():
    with pytest.raises(ValueError, match='use_text needs vectors'):
        ItemTower(8).for_catalogue(CatalogueFacts(3))
    with pytest.raises(ValueError, match='reads nothing'):
        ItemTower(8, id_dim=0, use_text=False).for_catalogue(FACTS)
    with pytest.raises(ValueError, match='call for_catalogue'):
        initial(ItemTower(8, use_text=False), jnp.ones((1,), int))


def history_states(tower, embedded, mask):
    inputs = (jnp.asarray(embedded), jnp.asarray(mask))
    return apply(tower, initial(tower, *inputs, enable_dropout=False), *inputs, enable_dropout=False)


def test_a_state_knows_nothing_later_and_no_padding():
    tower = HistoryTower(hidden=(8,))
    assert isinstance(tower, SequenceEncoder)
    embedded = RNG.normal(size=(2, 5, 4)).astype(np.float32)
    mask = np.array([[False, False, True, True, True], [True] * 5])
    states = history_states(tower, embedded, mask)
    changed = embedded.copy()
    changed[:, 4] += 1
    changed[0, :2] = 7
    again = history_states(tower, changed, mask)
    np.testing.assert_array_equal(again[0, 2:4], states[0, 2:4])
    np.testing.assert_array_equal(again[1, :4], states[1, :4])
    assert (states[0, :2] == 0).all() and (again[:, 4] != states[:, 4]).any()
    alone = history_states(tower, embedded[:1, 2:], mask[:1, 2:])
    np.testing.assert_allclose(alone[0, -1], states[0, -1], rtol=1e-5, atol=1e-6)


def test_the_mean_decays_with_the_lag():
    tower = HistoryTower(hidden=(), decay=0.5)
    embedded = RNG.normal(size=(1, 3, 4)).astype(np.float32)
    inputs = (jnp.asarray(embedded), jnp.ones((1, 3), bool))
    params = initial(tower, *inputs, enable_dropout=False)
    kernel = np.asarray(params['Affine_0']['kernel'])
    mean = (0.25 * embedded[0, 0] + 0.5 * embedded[0, 1] + embedded[0, 2]) / 1.75
    expected = np.concatenate([embedded[0, 2], mean]) @ kernel
    found = apply(tower, params, *inputs, enable_dropout=False)
    np.testing.assert_allclose(found[0, -1], expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r'decay=1\.5 must lie'):
        history_states(HistoryTower(decay=1.5), embedded, np.ones((1, 3), bool))


@pytest.mark.slow
def test_the_towers_train_over_eight_devices_as_on_one(tmp_path, monkeypatch):
    store = ColumnStore.in_memory(
        {'items': [RNG.integers(1, N_ITEMS + 1, RNG.integers(2, 8)) for _ in range(48)]}
    )
    monkeypatch.setattr(type(store), 'fingerprint', 'in memory')

    def fit(name, mesh):
        trainer = Trainer(
            steps=3,
            feature_lengths={'items': 8},
            bucketed_feature='items',
            optimizer=AdamW(Constant(0.01), weight_decay=0.1, undecayed=('scale', 'bias', 'text')),
            batch_size=16,
            log_every=1,
            mesh=mesh,
        )
        result = trainer.fit(MODEL, store, tmp_path / name)
        losses = [row['loss'] for row in read_json_lines(tmp_path / name / 'metrics.jsonl')]
        return losses, load_params(result.checkpoint)

    alone, params = fit('alone', MeshShape(data=1))
    shared, _ = fit('shared', MeshShape(data=4, model=2))
    np.testing.assert_allclose(shared, alone, rtol=1e-4)
    np.testing.assert_array_equal(params['item_encoder']['text'][:N_ITEMS], TEXTS)
    vectors = jax.jit(MODEL.item_vectors)(jax.tree.map(jnp.asarray, params))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-4)


def test_a_model_of_no_catalogue_is_refused():
    with pytest.raises(ValueError, match='call for_catalogue'):
        jax.eval_shape(lambda: BLANK.get_initial_variables(jax.random.key(0), {}))
    with pytest.raises(ValueError, match='log_q needs counts'):
        BLANK.for_catalogue(dataclasses.replace(FACTS, train_counts=None))
