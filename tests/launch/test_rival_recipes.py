"""GRU4Rec, Caser and BERT4Rec in the place of SASRec's encoder, by their gin files."""

import argparse
import json

import pytest

from llmrec_jax.launch.sequential_recipe import SequentialRecipe
from llmrec_jax.models.sequential.bert4rec import BERT4RecEncoder
from llmrec_jax.models.sequential.caser import CaserEncoder
from llmrec_jax.models.sequential.cloze import Cloze
from llmrec_jax.models.sequential.gru import GRUEncoder
from llmrec_jax.models.sequential.objective import NextItem
from llmrec_jax.runs import gin_config

ENCODERS = {'gru4rec': GRUEncoder, 'caser': CaserEncoder, 'bert4rec': BERT4RecEncoder}
CORPORA = ('amazon_beauty', 'movielens_1m', 'simulated_shop')


def load(*flags):
    parser = argparse.ArgumentParser()
    gin_config.add_arguments(parser)
    _, arguments = gin_config.parse_arguments(parser, flags)
    return gin_config.instantiate(SequentialRecipe, gin_config.load(arguments))


@pytest.mark.parametrize('corpus', CORPORA)
@pytest.mark.parametrize('rival', ENCODERS)
def test_every_recipe_is_whole(rival, corpus, tmp_path):
    (tmp_path / 'sequential.txt').write_text('1 1 2 3\n2 2 3 1\n')
    (tmp_path / 'items.jsonl').write_text(json.dumps({'id': 1, 'asin': 'A', 'title': 'Thing'}) + '\n')
    flags = [f'--gin_file=gin_configs/{rival}/{corpus}.gin', '--gin.WORKDIR=runs/x']
    recipe = load(*flags, *([f'--gin.CORPUS_DIR={tmp_path}'] if corpus == 'amazon_beauty' else []))
    assert recipe.name == rival
    assert type(recipe.model.sequence_encoder) is ENCODERS[rival]
    assert type(recipe.model.objective) is (Cloze if rival == 'bert4rec' else NextItem)
    if rival == 'bert4rec':
        assert recipe.model.sequence_encoder.config.max_length == recipe.task.max_items
