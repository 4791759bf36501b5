"""Two towers for texts: they learn what the texts' own space does not tell, and are searched by an index."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmrec_jax.models.sequential.item_encoder import CatalogueFacts
from llmrec_jax.models.sequential.network import Scoring
from llmrec_jax.models.two_tower.in_batch_softmax import InBatchSoftmax
from llmrec_jax.models.two_tower.text_query_model import TextQueryModel
from llmrec_jax.models.two_tower.towers import ItemTower, TextTower
from llmrec_jax.retrieval.exact import ExactSearch
from llmrec_jax.retrieval.retriever import Requests
from llmrec_jax.retrieval.vector_retriever import TextVectors, VectorRetriever
from llmrec_jax.training.columns import ColumnStore
from llmrec_jax.training.mesh import MeshShape
from llmrec_jax.training.optimizers import AdamW
from llmrec_jax.training.parameter_restore import load_params
from llmrec_jax.training.schedules import Constant
from llmrec_jax.training.train_state import TrainableModel
from llmrec_jax.training.trainer import Trainer

N_ITEMS, WIDTH, N_TEXTS, HELD_OUT = 40, 8, 960, 160
RNG = np.random.default_rng(0)
ITEM_TEXTS = RNG.normal(size=(N_ITEMS, WIDTH)).astype(np.float32)
# A text is its item's vector in another language: rotated, and written carelessly.
ROTATION = np.linalg.qr(RNG.normal(size=(WIDTH, WIDTH)))[0].astype(np.float32)
WANTED = RNG.integers(0, N_ITEMS, N_TEXTS)
TEXTS = ITEM_TEXTS[WANTED] @ ROTATION + 0.2 * RNG.normal(size=(N_TEXTS, WIDTH)).astype(np.float32)
FACTS = CatalogueFacts(N_ITEMS, np.bincount(WANTED, minlength=N_ITEMS).astype(float), ITEM_TEXTS)
BLANK = TextQueryModel(
    ItemTower(8, id_dim=0, hidden=()), TextTower(8, hidden=()), InBatchSoftmax(), Scoring(temperature=0.5)
)
MODEL = BLANK.for_catalogue(FACTS, TEXTS[:-HELD_OUT])


def pairs(wanted):
    return ColumnStore.in_memory(
        {'query': np.arange(len(wanted))[:, None], 'item': np.asarray(wanted)[:, None] + 1}
    )


def trained(tmp_path, wanted):
    trainer = Trainer(
        steps=150,
        feature_lengths={'query': 1, 'item': 1},
        bucketed_feature='query',
        optimizer=AdamW(Constant(0.03)),
        batch_size=64,
        mesh=MeshShape(data=1),
    )
    return jax.tree.map(jnp.asarray, load_params(trainer.fit(MODEL, pairs(wanted), tmp_path).checkpoint))


def recall_at_1(params):
    vectors = {f'text {row}': TEXTS[row] for row in range(N_TEXTS)}
    states = jax.jit(MODEL.states)
    retriever = VectorRetriever(
        ExactSearch(np.asarray(jax.jit(MODEL.item_vectors)(params))),
        TextVectors(lambda texts: np.asarray(states(params, np.stack([vectors[text] for text in texts])))),
    )
    asked = Requests(texts=[f'text {row}' for row in range(N_TEXTS - HELD_OUT, N_TEXTS)])
    return float(np.mean(retriever.retrieve(asked, 1).items[:, 0] == WANTED[-HELD_OUT:]))


@pytest.mark.slow
def test_texts_that_were_not_seen_find_their_items_unless_training_pairs_were_shuffled(tmp_path, monkeypatch):
    monkeypatch.setattr(ColumnStore, 'fingerprint', 'in memory')
    assert isinstance(MODEL, TrainableModel)
    wanted = WANTED[:-HELD_OUT]
    assert recall_at_1(trained(tmp_path / 'paired', wanted)) > 0.7
    assert recall_at_1(trained(tmp_path / 'shuffled', RNG.permutation(wanted))) < 0.2


def test_rows_and_items_of_another_corpus_are_refused():
    good = {'query': np.array([[0]]), 'item': np.array([[1]])}
    assert MODEL.convert_features(good)['query'].shape == (1, WIDTH)
    with pytest.raises(ValueError, match="'query' holds numbers from 800 to 800, but the last is 799"):
        MODEL.convert_features({**good, 'query': np.array([[800]])})
    with pytest.raises(ValueError, match="'item' holds numbers from 41 to 41, but the last is 40"):
        MODEL.convert_features({**good, 'item': np.array([[41]])})
    with pytest.raises(ValueError, match='log_q needs counts'):
        BLANK.for_catalogue(dataclasses.replace(FACTS, train_counts=None), TEXTS)
