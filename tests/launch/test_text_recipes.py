"""Every text-to-text recipe in the repository can be configured, alone and from public weights."""

import argparse

import pytest

from llmrec_jax.launch import pipeline
from llmrec_jax.launch.text_recipe import TextRecipe
from llmrec_jax.runs import gin_config

FOLDER = gin_config.REPOSITORY / 'gin_configs' / 'p5'
# Files to be given after a recipe.
STARTS = ('t5_1_0', 'flan_t5')
CORPORA = ('simulated_shop', 'smoke', 'amazon_musical_instruments', 'amazon_beauty', 'movielens')
FAMILIES = {
    'amazon_beauty': ('CORPUS_DIR=my_shop',),
}


def load(*names: str, bindings: tuple[str, ...] = ()) -> TextRecipe:
    parser = argparse.ArgumentParser()
    gin_config.add_arguments(parser)
    flags = [
        *(f'--gin_file=gin_configs/p5/{name}.gin' for name in names),
        '--gin.WORKDIR=runs/x',
        *(f'--gin.{text}' for text in bindings),
    ]
    _, arguments = gin_config.parse_arguments(parser, flags)
    loaded = gin_config.load(arguments)
    return gin_config.instantiate(gin_config.configured_kind(tuple(pipeline.KINDS)), loaded)


def test_these_tests_know_every_file():
    assert {path.stem for path in FOLDER.glob('*.gin')} >= {'base', *STARTS, *CORPORA}


@pytest.mark.parametrize('corpus', CORPORA)
@pytest.mark.parametrize('start', [(), *((start,) for start in STARTS)], ids=('scratch', *STARTS))
def test_every_recipe_is_whole(corpus, start):
    weights = ('INITIAL_CHECKPOINT=t5/checkpoint_1',) if start else ()
    recipe = load(corpus, *start, bindings=(*FAMILIES.get(corpus, ()), *weights))
    assert isinstance(recipe, TextRecipe)
    length = recipe.tasks.feature_lengths['inputs']
    assert all(bucket < length for bucket in recipe.trainer.length_buckets)
    assert recipe.trainer.optimizer.learning_rate.warmup_steps < recipe.trainer.steps
    if start:
        assert recipe.model.module.config.vocab_size == 32128
        assert recipe.trainer.initial_checkpoint == 't5/checkpoint_1'
        assert (length, recipe.tasks.feature_lengths['targets']) == (512, 64)
        assert recipe.trainer.optimizer.learning_rate.peak == 1e-3 or corpus in ('simulated_shop', 'smoke')
    else:
        assert recipe.model.module.config.vocab_size == recipe.tasks.vocabulary.size


@pytest.mark.parametrize(
    ('binding', 'message'),
    [
        ("trainer.Trainer.feature_lengths={'inputs': 64, 'targets': 8}", 'must be the same'),
        (
            "early_stopping.BestMetric.name='ndcg@10'",
            "must be 'loss' and 'min', or 'accuracy' and 'max', not 'ndcg@10'",
        ),
        ("p5.P5Tasks.workdir='elsewhere'", 'must be the same: the vocabulary lies there'),
        ('text_recipe.TextRecipe.validation_examples=0', 'validation_examples=0 must be at least 1'),
    ],
)
def test_parts_that_do_not_fit_are_refused(binding, message):
    with pytest.raises(ValueError, match=message):
        load('smoke', bindings=(binding,))
