"""Every two-tower recipe can be configured, and what does not fit is told at once."""

import dataclasses

import numpy as np
import pytest

from llmrec_jax.models.sequential.item_encoder import CatalogueFacts
from tests import recipes
from tests.recipes import CONFIGS

RECIPES = sorted(path.name for path in (CONFIGS / 'two_tower').glob('*.gin') if path.name != 'base.gin')


def load(name):
    needed = ['CORPUS_DIR=shop'] if 'beauty' in name else []
    return recipes.load(f'gin_configs/two_tower/{name}', *needed)


@pytest.mark.parametrize('name', RECIPES)
def test_every_recipe_is_whole(name):
    recipe = load(name)
    assert recipe.trainer.feature_lengths == recipe.task.feature_lengths
    assert recipe.trainer.best_metric.name == 'ndcg@10'
    assert 'text' in recipe.trainer.optimizer.undecayed
    facts = CatalogueFacts(5, np.ones(5), np.ones((5, recipe.text_encoder.dim), np.float32))
    assert recipe.network.for_catalogue(facts).loss.probabilities.shape == (5,)


def test_a_list_longer_than_what_is_ranked_is_refused():
    with pytest.raises(ValueError, match='depth=5 is below Ranking.list_length=10'):
        dataclasses.replace(load('smoke.gin'), depth=5)


def test_a_tower_that_reads_no_text_embeds_none():
    whole = load('smoke.gin')
    without = dataclasses.replace(whole, text_encoder=None)
    names = [[stage.name for stage in system.stages()] for system in (whole, without)]
    assert [name for name in names[0] if name not in names[1]] == ['item_vectors']
