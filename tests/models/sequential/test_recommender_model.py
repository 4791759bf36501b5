"""The model as the engine and as a recommender sees it."""

import dataclasses

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.linen import partitioning
from hypothesis import given

from llmrec_jax.models.sequential.item_encoder import CatalogueFacts, ItemTable
from llmrec_jax.models.sequential.losses import BinaryCrossEntropy, FullSoftmax
from llmrec_jax.models.sequential.network import Scoring
from llmrec_jax.models.sequential.objective import NextItem
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel, padded_left
from llmrec_jax.models.sequential.sasrec import SASRecConfig, SASRecEncoder
from llmrec_jax.training.columns import write_columns
from llmrec_jax.training.mesh import STANDARD_RULES, MeshShape, batch_sharding, place
from llmrec_jax.training.metrics_log import read_json_lines
from llmrec_jax.training.optimizers import AdamW
from llmrec_jax.training.parameter_restore import load_params
from llmrec_jax.training.schedules import Constant
from llmrec_jax.training.train_state import TrainableModel, abstract_params, shardings_of
from llmrec_jax.training.trainer import Trainer
from tests.drawn_parameters import drawn

N_ITEMS = 300
CONFIG = SASRecConfig(max_length=8, num_layers=1, dropout_rate=0.2)
MODEL = SequentialRecommenderModel(
    ItemTable(8, init_stddev=0.3), SASRecEncoder(CONFIG), FullSoftmax(positions_at_once=16)
).for_catalogue(CatalogueFacts(N_ITEMS))


def initial(model):
    return drawn(model, {})


@pytest.fixture(scope='module')
def params():
    return initial(MODEL)


def test_it_is_a_trainable_model():
    assert isinstance(MODEL, TrainableModel)


@given(st.lists(st.lists(st.integers(1, 9), max_size=5), min_size=1, max_size=4))
def test_rows_are_moved_to_the_right(rows):
    right = np.array([row + [0] * (6 - len(row)) for row in rows])
    assert padded_left(right).tolist() == [[0] * (6 - len(row)) + row for row in rows]


def test_next_items_are_predicted_at_real_positions_alone():
    sequences = jnp.array([[0, 0, 4, 5, 6], [1, 2, 3, 4, 5], [0, 0, 0, 0, 9]])
    view = NextItem().training_view(sequences, None)
    assert view.inputs.tolist() == [[0, 0, 4, 5], [1, 2, 3, 4], [0, 0, 0, 0]]
    assert view.targets.tolist() == [[0, 0, 5, 6], [2, 3, 4, 5], [0, 0, 0, 0]]


def test_items_of_another_catalogue_are_refused():
    with pytest.raises(ValueError, match='tokens from 0 to 301, but the catalogue has 300 items'):
        MODEL.convert_features({'items': np.array([[301, 0]])})
    with pytest.raises(ValueError, match='train_counts has 2 rows for 3 items'):
        CatalogueFacts(3, np.zeros(2))
    unknown = dataclasses.replace(MODEL, item_encoder=ItemTable(8))
    with pytest.raises(ValueError, match='call for_catalogue'):
        jax.eval_shape(lambda: unknown.get_initial_variables(jax.random.key(0), {}))


def test_scores_are_of_the_catalogue_alone(params):
    histories = jnp.array([[0, 0, 3], [7, 8, 9]])
    scores = np.asarray(jax.jit(MODEL.scores)(params, histories))
    assert scores.shape == (2, 384)
    assert np.isneginf(scores[:, N_ITEMS:]).all()
    states, vectors = MODEL.states(params, histories), MODEL.item_vectors(params)
    np.testing.assert_allclose(scores[:, :N_ITEMS], states @ vectors.T, rtol=1e-5, atol=1e-5)


def test_cosine_and_bias_are_in_the_inner_product(params):
    scoring = Scoring(cosine=True, temperature=0.1, item_bias=True)
    model = dataclasses.replace(MODEL, scoring=scoring)
    bias = np.random.default_rng(0).normal(size=384).astype(np.float32)
    compared = {**params, 'bias': bias}
    histories = jnp.array([[5, 6, 7]])
    state, vectors = np.asarray(MODEL.states(params, histories))[0], np.asarray(MODEL.item_vectors(params))
    cosine = vectors @ state / np.linalg.norm(vectors, axis=1) / np.linalg.norm(state)
    found = jax.jit(model.scores)(compared, histories)[0, :N_ITEMS]
    np.testing.assert_allclose(found, cosine / 0.1 + bias[:N_ITEMS], rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match='temperature=0.0 must be positive'):
        Scoring(temperature=0.0)


EIGHT = MeshShape(data=4, model=2)
# Four devices do not divide a chunk of 18.
LOSSES = (FullSoftmax(positions_at_once=18), BinaryCrossEntropy(positions_at_once=18))


def named(loss):
    return type(loss).__name__


@pytest.mark.parametrize('loss', [LOSSES[0], pytest.param(LOSSES[1], marks=pytest.mark.slow)], ids=named)
def test_a_shared_item_table_has_the_loss_and_gradient_of_one_that_is_not(params, loss):
    model, mesh = dataclasses.replace(MODEL, loss=loss), EIGHT.build()
    rng = np.random.default_rng(0)
    right = np.where(np.arange(9) < rng.integers(2, 10, 8)[:, None], rng.integers(1, 301, (8, 9)), 0)
    batch = model.convert_features({'items': right})

    def gradient():
        sums = jax.value_and_grad(lambda p, b: model.loss_sums(p, b, jax.random.key(1))[0])
        return jax.jit(lambda p, b: sums(p, b))

    alone = gradient()(params, batch)
    features = {'items': jax.ShapeDtypeStruct((8, 9), jnp.int32)}
    with jax.set_mesh(mesh), partitioning.axis_rules(STANDARD_RULES):
        shardings = shardings_of(abstract_params(model, features, mesh, STANDARD_RULES))
        placed = jax.device_put(params, shardings)
        shared = gradient()(placed, place(batch, batch_sharding(mesh, STANDARD_RULES)))
    assert placed['item_encoder']['embedding'].addressable_shards[0].data.shape == (192, 8)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), shared, alone)


@pytest.mark.slow
@pytest.mark.parametrize('loss', LOSSES, ids=named)
def test_a_shared_item_table_trains_as_one_that_is_not(tmp_path, loss):
    rng = np.random.default_rng(0)
    rows = [rng.integers(1, N_ITEMS + 1, rng.integers(2, 10)) for _ in range(48)]
    store = write_columns(tmp_path / 'store', {'items': rows}, {})

    def fit(name, mesh):
        trainer = Trainer(
            steps=3,
            feature_lengths={'items': 9},
            bucketed_feature='items',
            length_buckets=(5,),
            microbatches=2,
            optimizer=AdamW(Constant(0.01)),
            batch_size=16,
            log_every=1,
            mesh=mesh,
        )
        result = trainer.fit(dataclasses.replace(MODEL, loss=loss), store, tmp_path / name)
        losses = [row['loss'] for row in read_json_lines(tmp_path / name / 'metrics.jsonl')]
        return losses, load_params(result.checkpoint)['item_encoder']['embedding']

    alone, alone_table = fit('alone', MeshShape(data=1))
    shared, shared_table = fit('shared', EIGHT)
    assert len(set(alone)) == 3
    np.testing.assert_allclose(shared, alone, rtol=1e-5)
    np.testing.assert_allclose(shared_table, alone_table, rtol=1e-4, atol=1e-4)
