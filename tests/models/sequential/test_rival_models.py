"""GRU4Rec, Caser and BERT4Rec as whole models: every parameter is trained, and has a place on a mesh."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from llmrec_jax.models.sequential.bert4rec import BERT4RecConfig, BERT4RecEncoder
from llmrec_jax.models.sequential.caser import CaserConfig, CaserEncoder
from llmrec_jax.models.sequential.gru import GRUConfig, GRUEncoder
from llmrec_jax.models.sequential.item_encoder import CatalogueFacts, ItemTable
from llmrec_jax.models.sequential.losses import FullSoftmax
from llmrec_jax.models.sequential.network import Scoring
from llmrec_jax.models.sequential.objective import Cloze, NextItem
from llmrec_jax.models.sequential.recommender_model import SequentialRecommenderModel
from llmrec_jax.training.mesh import FSDP_RULES, STANDARD_RULES, MeshShape
from llmrec_jax.training.train_state import abstract_params
from tests.drawn_parameters import drawn

ITEMS, DIM, WIDTH = 200, 8, 7
RIVALS = {
    'gru4rec': (GRUEncoder(GRUConfig(16)), NextItem(), Scoring()),
    'caser': (CaserEncoder(CaserConfig(3, 4, 2)), NextItem(), Scoring()),
    'bert4rec': (
        BERT4RecEncoder(BERT4RecConfig(WIDTH - 1, num_layers=1)),
        Cloze(0.5),
        Scoring(item_bias=True),
    ),
}


@pytest.fixture(scope='module', params=RIVALS)
def model(request):
    encoder, objective, scoring = RIVALS[request.param]
    model = SequentialRecommenderModel(ItemTable(DIM), encoder, FullSoftmax(), objective, scoring)
    return model.for_catalogue(CatalogueFacts(ITEMS))


def test_every_parameter_is_trained(model):
    tokens = np.random.default_rng(0).integers(1, ITEMS + 1, (16, WIDTH)).astype(np.int32)
    tokens[::2, :4] = 0
    batch = {'items': jnp.asarray(tokens)}
    params = drawn(model, {})

    @jax.jit
    def gradients(params, key):
        return jax.grad(lambda params: model.loss_sums(params, batch, key)[0])(params)

    found = traverse_util.flatten_dict(gradients(params, jax.random.key(1)), sep='/')
    assert all(np.isfinite(leaf).all() for leaf in found.values())
    # A softmax over keys does not see what is added to all of them.
    still = [name for name, leaf in found.items() if np.abs(leaf).max() < 1e-6]
    assert [name for name in still if not name.endswith('attention/key/bias')] == []


@pytest.mark.parametrize('rules', [STANDARD_RULES, FSDP_RULES], ids=['standard', 'fsdp'])
def test_every_parameter_has_a_place_on_a_mesh(model, rules):
    features = {'items': jax.ShapeDtypeStruct((8, WIDTH), jnp.int32)}
    mesh = MeshShape(data=4, model=2).build()
    placed = abstract_params(model, features, mesh, rules)
    table = placed['item_encoder']['embedding']
    assert table.sharding.shard_shape(table.shape)[0] == table.shape[0] // 2
