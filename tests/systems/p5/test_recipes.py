"""Every text-to-text recipe in the repository can be configured, alone and from public weights."""

import pytest

from llmrec_jax.runs import gin_config
from llmrec_jax.systems.p5.system import P5System
from tests.systems.configured import configured

FOLDER = gin_config.REPOSITORY / 'gin_configs' / 'p5'
# Files to be given after a recipe.
STARTS = ('overlays/p5_t5_1_0', 'overlays/p5_flan_t5')
CORPORA = ('simulated_shop', 'smoke', 'amazon_musical_instruments', 'amazon_beauty', 'movielens')
FAMILIES = {
    'amazon_beauty': ('CORPUS_DIR=my_shop',),
}


def load(*names: str, bindings: tuple[str, ...] = ()) -> P5System:
    flags = [
        *(f'--gin_file=gin_configs/{name if "/" in name else f"p5/{name}"}.gin' for name in names),
        '--gin.WORKDIR=runs/x',
        *(f'--gin.{text}' for text in bindings),
    ]
    return configured(flags)


def test_these_tests_know_every_file():
    assert {path.stem for path in FOLDER.glob('*.gin')} == {'base', *CORPORA}


@pytest.mark.parametrize('corpus', CORPORA)
@pytest.mark.parametrize('start', [(), *((start,) for start in STARTS)], ids=('scratch', *STARTS))
def test_every_recipe_is_whole(corpus, start):
    weights = ('INITIAL_CHECKPOINT=t5/checkpoint_1',) if start else ()
    recipe = load(corpus, *start, bindings=(*FAMILIES.get(corpus, ()), *weights))
    assert isinstance(recipe, P5System)
    length = recipe.tasks.feature_lengths['inputs']
    assert all(bucket < length for bucket in recipe.trainer.length_buckets)
    assert recipe.trainer.optimizer.learning_rate.warmup_steps < recipe.trainer.steps
    if start:
        assert recipe.network.module.config.vocab_size == 32128
        assert recipe.trainer.initial_checkpoint == 't5/checkpoint_1'
        assert (length, recipe.tasks.feature_lengths['targets']) == (512, 64)
        assert recipe.trainer.optimizer.learning_rate.peak == 1e-3 or corpus in ('simulated_shop', 'smoke')
    else:
        assert recipe.network.module.config.vocab_size == recipe.tasks.vocabulary.size


@pytest.mark.parametrize(
    ('binding', 'message'),
    [
        ("trainer.Trainer.feature_lengths={'inputs': 64, 'targets': 8}", 'must be the same'),
        (
            "early_stopping.BestMetric.name='ndcg@10'",
            "must be 'loss' and 'min', or 'accuracy' and 'max', not 'ndcg@10'",
        ),
        ("p5.P5Tasks.workdir='elsewhere'", 'must be the same: the vocabulary lies there'),
        ('system.P5System.validation_examples=0', 'validation_examples=0 must be at least 1'),
        ("system.P5System.next_item_template='2-7'", '2-7'),
    ],
)
def test_parts_that_do_not_fit_are_refused(binding, message, capsys):
    with pytest.raises(SystemExit):
        load('smoke', bindings=(binding,))
    assert message in capsys.readouterr().err
