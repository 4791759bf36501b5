"""GRU4Rec, Caser and BERT4Rec in the place of SASRec's encoder, by their gin files."""

import pytest

from llmrec_jax.models.sequential.bert4rec import BERT4RecEncoder
from llmrec_jax.models.sequential.caser import CaserEncoder
from llmrec_jax.models.sequential.gru import GRUEncoder
from llmrec_jax.models.sequential.objective import Cloze, NextItem
from tests.recipes import load_with_stand_ins

ENCODERS = {'gru4rec': GRUEncoder, 'caser': CaserEncoder, 'bert4rec': BERT4RecEncoder}
CORPORA = ('amazon_beauty', 'movielens_1m', 'simulated_shop')


@pytest.mark.parametrize('corpus', CORPORA)
@pytest.mark.parametrize('rival', ENCODERS)
def test_every_recipe_is_whole(rival, corpus, tmp_path):
    recipe = load_with_stand_ins(f'gin_configs/{rival}/{corpus}.gin', tmp_path)
    assert recipe.name == rival
    assert type(recipe.network.sequence_encoder) is ENCODERS[rival]
    assert type(recipe.network.objective) is (Cloze if rival == 'bert4rec' else NextItem)
    if rival == 'bert4rec':
        assert recipe.network.sequence_encoder.config.max_length == recipe.task.max_items
