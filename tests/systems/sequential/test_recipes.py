"""Every recipe of a sequential recommender can be configured, and what does not fit is told at once."""

import dataclasses

import pytest

from llmrec_jax.evaluation.sampled_protocol import SampledProtocol
from llmrec_jax.runs import gin_config
from tests import recipes
from tests.recipes import CONFIGS

RECIPES = sorted(path.name for path in (CONFIGS / 'sasrec').glob('*.gin') if path.name != 'base.gin')
LOSSES = sorted((CONFIGS / 'overlays' / 'losses').glob('*.gin'))


def load(name, *bindings, after=()):
    needed = ['CORPUS_DIR=shop'] if 'beauty' in name else []
    return recipes.load(f'gin_configs/sasrec/{name}', *needed, *bindings, after=after)


@pytest.mark.parametrize('name', RECIPES)
def test_every_recipe_is_whole(name):
    recipe = load(name)
    assert recipe.trainer.feature_lengths == recipe.task.feature_lengths
    assert recipe.network.sequence_encoder.config.max_length == recipe.task.max_items
    assert all(bucket <= recipe.task.max_items for bucket in recipe.trainer.length_buckets)
    assert recipe.trainer.best_metric.name == 'ndcg@10'
    assert recipe.trainer.optimizer.build()


@pytest.mark.parametrize('loss', LOSSES, ids=lambda path: path.stem)
def test_any_loss_can_follow_a_recipe(loss):
    recipe = load('movielens_1m.gin', after=(str(loss),))
    assert type(recipe.network.loss).__name__ == loss.stem.title().replace('_', '')


def test_sampled_protocols_can_follow_any_recipe():
    assert load('simulated_shop.gin').sampled == ()
    after = ('gin_configs/overlays/sampled_protocols.gin',)
    recipe = load('smoke.gin', after=after)
    assert [protocol.suffix for protocol in recipe.sampled] == [
        '_of_100_uniform',
        '_of_101_uniform',
        '_of_101_popularity',
    ]
    with pytest.raises(gin_config.ConfigurationError, match='negative'):
        load('smoke.gin', 's3_rec/sampled_protocol.SampledProtocol.negative = 9', after=after)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'sampled': (SampledProtocol(), SampledProtocol())}, 'sampled names a protocol twice'),
        ({'ranking_length_buckets': (11,)}, 'must lie between 1 and SequentialTask.max_items=10'),
    ],
)
def test_what_does_not_fit_is_told(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(load('smoke.gin'), **changes)


def test_examples_and_trainer_have_one_length():
    recipe = load('smoke.gin')
    trainer = dataclasses.replace(recipe.trainer, feature_lengths={'items': 9})
    with pytest.raises(ValueError, match="must be {'items': 11}, one more than SequentialTask.max_items"):
        dataclasses.replace(recipe, trainer=trainer)
