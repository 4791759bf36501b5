"""Every recipe of PALR in the repository can be configured, in both versions and with any kind of profile."""

import pytest

from llmrec_jax.language_models.stored_responses import OfflineModel
from llmrec_jax.runs import gin_config
from llmrec_jax.stages.profile_writers import CountedProfiles, WrittenProfiles
from llmrec_jax.systems.palr.system import PalrSystem
from tests.systems.configured import configured

FOLDER = gin_config.REPOSITORY / 'gin_configs' / 'palr'
CORPORA = {
    'simulated_shop': (),
    'smoke': (),
    'movielens': (),
    'movielens_two_cores': (),
    'amazon_beauty': ('CORPUS_DIR=my_shop',),
}


def load(*names: str, bindings: tuple[str, ...] = ()) -> PalrSystem:
    flags = [
        *(f'--gin_file=gin_configs/{name if "/" in name else f"palr/{name}"}.gin' for name in names),
        '--gin.WORKDIR=runs/x',
        *(f'--gin.{text}' for text in bindings),
    ]
    return configured(flags)


def test_these_tests_know_every_file():
    assert {path.stem for path in FOLDER.glob('*.gin')} == {'base', *CORPORA}


@pytest.mark.parametrize('corpus', CORPORA)
def test_every_recipe_is_whole(corpus):
    recipe = load(corpus, bindings=CORPORA[corpus])
    assert (recipe.name, recipe.tasks.version) == ('palr_v2', 'v2')
    assert recipe.network.module.config.vocab_size == recipe.tasks.vocabulary.size
    assert recipe.decoding.text.max_length <= recipe.tasks.feature_lengths['targets']
    assert recipe.trainer.optimizer.learning_rate.warmup_steps < recipe.trainer.steps
    assert isinstance(recipe.profile_writer, CountedProfiles)
    v1 = load(corpus, 'overlays/palr_v1', bindings=CORPORA[corpus])
    assert (v1.name, v1.tasks.version) == ('palr_v1', 'v1')
    assert v1.tasks.palr == recipe.tasks.palr


def test_public_weights_and_stored_profiles_come_after_a_recipe():
    recipe = load(
        'movielens',
        'overlays/palr_t5_1_0',
        'overlays/profiles_written',
        'overlays/language_models/stored',
        bindings=('INITIAL_CHECKPOINT=t5/checkpoint_1', 'STORED_MODEL=some/model', 'RESPONSES=paid.jsonl'),
    )
    assert recipe.network.module.config.vocab_size == 32128
    assert recipe.trainer.initial_checkpoint == 't5/checkpoint_1'
    assert isinstance(recipe.profile_writer, WrittenProfiles)
    assert recipe.profile_writer.language_model == OfflineModel('some/model')
    assert recipe.profile_writer.responses == 'paid.jsonl'


@pytest.mark.parametrize(
    ('binding', 'message'),
    [
        ('system.PalrSystem.candidates=9', 'PalrSystem.candidates=9'),
        ('rank.Ranking.list_length=20', 'Ranking.list_length asks for 20 items of 10'),
        ("SEEN_ITEMS='hidden'", 'hidden'),
        ('decoding_config.DecodingConfig.max_examples=5', 'max_examples=5 must be None'),
        ('TEST_USERS=0', 'PalrSystem.test_users=0 must be at least 1'),
        ("VERSION='v3'", "PalrTasks.version='v3' must be one of v1, v2"),
        ('palr.PalrTasks.profiles=False', 'PalrTasks.profiles=False'),
    ],
)
def test_settings_that_cannot_be_had_are_refused(binding, message, capsys):
    with pytest.raises(SystemExit):
        load('smoke', bindings=(binding,))
    assert message in capsys.readouterr().err


def test_without_a_writer_no_stage_writes_profiles_and_no_prompt_shows_any():
    system = load('smoke', bindings=('PROFILE_WRITER=None',))
    assert not system.tasks.profiles
    assert 'profiles' not in [stage.name for stage in system.stages()]
    assert 'profiles' in [stage.name for stage in load('smoke').stages()]
