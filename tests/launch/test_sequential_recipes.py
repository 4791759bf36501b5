"""Every recipe of a sequential recommender can be configured, and what does not fit is told at once."""

import dataclasses

import pytest

from llmrec_jax.evaluation.sampled_protocol import SampledProtocol
from llmrec_jax.launch.sequential_recipe import SequentialRecipe
from llmrec_jax.runs import gin_config
from tests.launch.test_recipes import CONFIGS, PARTS

RECIPES = sorted(path.name for path in (CONFIGS / 'sasrec').glob('*.gin') if path.name not in PARTS)
LOSSES = sorted((CONFIGS / 'sasrec' / 'losses').glob('*.gin'))


def load(name, *bindings, after=()):
    needed = ['CORPUS_DIR="shop"'] if 'beauty' in name else []
    arguments = gin_config.GinArguments(
        (f'gin_configs/sasrec/{name}', *after),
        ('WORKDIR="runs/x"', *needed, *bindings),
        ('.', str(gin_config.REPOSITORY)),
    )
    return gin_config.instantiate(SequentialRecipe, gin_config.load(arguments))


@pytest.mark.parametrize('name', RECIPES)
def test_every_recipe_is_whole(name):
    recipe = load(name)
    assert recipe.trainer.feature_lengths == recipe.task.feature_lengths
    assert recipe.model.sequence_encoder.config.max_length == recipe.task.max_items
    assert all(bucket <= recipe.task.max_items for bucket in recipe.trainer.length_buckets)
    assert recipe.trainer.best_metric.name == 'ndcg@10'
    assert recipe.trainer.optimizer.build()


@pytest.mark.parametrize('loss', LOSSES, ids=lambda path: path.stem)
def test_any_loss_can_follow_a_recipe(loss):
    recipe = load('movielens_1m.gin', after=(str(loss),))
    assert type(recipe.model.loss).__name__ == loss.stem.title().replace('_', '')


def test_sampled_protocols_can_follow_any_recipe():
    assert load('simulated_shop.gin').sampled == ()
    after = ('gin_configs/evaluation/sampled_protocols.gin',)
    recipe = load('smoke.gin', after=after)
    assert [protocol.suffix for protocol in recipe.sampled] == [
        '_of_100_uniform',
        '_of_101_uniform',
        '_of_101_popularity',
    ]
    with pytest.raises(gin_config.ConfigurationError, match="doesn't have a parameter named 'negative'"):
        load('smoke.gin', 's3_rec/sampled_protocol.SampledProtocol.negative = 9', after=after)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'sampled': (SampledProtocol(), SampledProtocol())}, 'sampled names a protocol twice'),
        ({'seen_items': 'hidden'}, "seen_items must be 'kept' or 'removed'"),
        ({'list_length': 5}, 'list_length=5 is shorter than the cut-off 10'),
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
