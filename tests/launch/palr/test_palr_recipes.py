"""Every recipe of PALR in the repository can be configured, in both versions and with any kind of profile."""

import argparse

import pytest

from llmrec_jax.language_models.stored_responses import OfflineModel
from llmrec_jax.launch import pipeline
from llmrec_jax.launch.palr.recipe import PalrRecipe
from llmrec_jax.launch.profiles.profile_writer import CountedProfiles, WrittenProfiles
from llmrec_jax.runs import gin_config

FOLDER = gin_config.REPOSITORY / 'gin_configs' / 'palr'
# Files to be given after a recipe.
AFTER = ('v1', 't5_1_0')
# Files that recipes share.
SHARED = ('base', 'two_cores')
CORPORA = {
    'simulated_shop': (),
    'smoke': (),
    'movielens': (),
    'movielens_two_cores': (),
    'amazon_beauty': ('CORPUS_DIR=my_shop',),
}


def load(*names: str, bindings: tuple[str, ...] = ()) -> PalrRecipe:
    parser = argparse.ArgumentParser()
    gin_config.add_arguments(parser)
    flags = [
        *(f'--gin_file=gin_configs/{name if "/" in name else f"palr/{name}"}.gin' for name in names),
        '--gin.WORKDIR=runs/x',
        *(f'--gin.{text}' for text in bindings),
    ]
    _, arguments = gin_config.parse_arguments(parser, flags)
    loaded = gin_config.load(arguments)
    return gin_config.instantiate(gin_config.configured_kind(tuple(pipeline.ALL_KINDS)), loaded)


def test_these_tests_know_every_file():
    assert {path.stem for path in FOLDER.glob('*.gin')} == {*SHARED, *AFTER, *CORPORA}


@pytest.mark.parametrize('corpus', CORPORA)
def test_every_recipe_is_whole(corpus):
    recipe = load(corpus, bindings=CORPORA[corpus])
    assert (recipe.name, recipe.tasks.version) == ('palr_v2', 'v2')
    assert recipe.model.module.config.vocab_size == recipe.tasks.vocabulary.size
    assert recipe.answering.text.max_length <= recipe.tasks.feature_lengths['targets']
    assert recipe.trainer.optimizer.learning_rate.warmup_steps < recipe.trainer.steps
    assert isinstance(recipe.profile_writer, CountedProfiles)
    v1 = load(corpus, 'v1', bindings=CORPORA[corpus])
    assert (v1.name, v1.tasks.version) == ('palr_v1', 'v1')
    assert v1.tasks.palr == recipe.tasks.palr


def test_public_weights_and_stored_profiles_come_after_a_recipe():
    recipe = load(
        'movielens',
        't5_1_0',
        'profiles/written',
        'language_models/stored',
        bindings=('INITIAL_CHECKPOINT=t5/checkpoint_1', 'STORED_MODEL=some/model', 'RESPONSES=paid.jsonl'),
    )
    assert recipe.model.module.config.vocab_size == 32128
    assert recipe.trainer.initial_checkpoint == 't5/checkpoint_1'
    assert isinstance(recipe.profile_writer, WrittenProfiles)
    assert recipe.profile_writer.language_model == OfflineModel('some/model')
    assert recipe.profile_writer.responses == 'paid.jsonl'


@pytest.mark.parametrize(
    ('binding', 'message'),
    [
        ('recipe.PalrRecipe.candidates=9', 'PalrRecipe.candidates=9 and Palr.candidates=10 must be the same'),
        ('recipe.PalrRecipe.ks=(20,)', 'asks for 20 items of 10 candidates'),
        ("SEEN_ITEMS='hidden'", "seen_items='hidden' must be one of"),
        ('answering.Answering.max_examples=5', 'max_examples=5 must be None in a PalrRecipe'),
        ('TEST_USERS=0', 'PalrRecipe.test_users=0 must be at least 1'),
        ("VERSION='v3'", "PalrTasks.version='v3' must be one of v1, v2"),
    ],
)
def test_settings_that_cannot_be_had_are_refused(binding, message):
    with pytest.raises(ValueError, match=message):
        load('smoke', bindings=(binding,))
