import argparse

import pytest

from llmrec_jax.runs import gin_config
from tests.runs import sample_recipe

RECIPE = """
from __gin__ import dynamic_registration
from tests.runs import sample_recipe

WORKDIR = %gin.REQUIRED
WIDTH = 3
PART = @sample_recipe.Part()
sample_recipe.Part.width = %WIDTH
sample_recipe.Whole.part = %PART
sample_recipe.Whole.workdir = %WORKDIR
"""


@pytest.fixture
def make(tmp_path):
    def build(*arguments, text=RECIPE):
        (tmp_path / 'recipe.gin').write_text(text)
        parser = argparse.ArgumentParser()
        gin_config.add_arguments(parser)
        flags = ['--gin_file=recipe.gin', f'--gin_search_paths={tmp_path}', *arguments]
        _, gin_arguments = gin_config.parse_arguments(parser, flags)
        return gin_config.instantiate(sample_recipe.Whole, gin_config.load(gin_arguments))

    return build


def test_files_and_bindings_configure_the_recipe(make):
    whole = make("--gin.WORKDIR='runs/a'", '--gin.WIDTH=7')
    assert whole == sample_recipe.Whole(part=sample_recipe.Part(width=7), workdir='runs/a')


@pytest.mark.parametrize('value', ['runs/a', './runs/a', '/data/runs-1.2/a', '~/runs', 'name', '100k', '1m'])
def test_bare_text_needs_no_second_quotes(make, value):
    assert make(f'--gin.WORKDIR={value}').workdir == value


@pytest.mark.parametrize(
    ('text', 'value'), [('None', None), ('True', True), ('1e-3', 1e-3), ('0x1f', 31), ('(1, 2)', (1, 2))]
)
def test_literals_stay_literals(make, text, value):
    assert make(f'--gin.WORKDIR={text}').workdir == value


def test_operative_config_reproduces_the_run(make, tmp_path):
    first = make('--gin.WORKDIR=a', '--gin.WIDTH=9')
    text = gin_config.operative_config()
    assert make(text=text) == first


@pytest.mark.parametrize(
    ('binding', 'message'),
    [
        ('WORKDRI=x', 'did you mean WORKDIR?'),
        ('sample_recipe.Part.widht=2', 'did you mean sample_recipe.Part.width?'),
        ('sample_recipe.Prat.width=2', 'did you mean .*Part'),
        ('WIDTH=(1', 'multi-line'),
    ],
)
def test_a_typo_is_an_error_that_names_the_nearest(make, binding, message):
    with pytest.raises(gin_config.ConfigurationError, match=message):
        make('--gin.WORKDIR=a', f'--gin.{binding}')


def test_a_required_value_is_asked_for_by_name(make):
    with pytest.raises(
        gin_config.ConfigurationError, match=r'WORKDIR is required: give it as --gin\.WORKDIR='
    ):
        make()


def test_an_unreferenced_macro_of_a_file_is_an_error(make):
    with pytest.raises(
        gin_config.ConfigurationError, match='WIDHT is set in the gin files.*did you mean WIDTH'
    ):
        make('--gin.WORKDIR=a', text=RECIPE + '\nWIDHT = 4\n')


def test_a_binding_of_something_never_called_is_an_error(make):
    with pytest.raises(gin_config.ConfigurationError, match='OtherPart.depth has no effect'):
        make('--gin.WORKDIR=a', text=RECIPE + '\nsample_recipe.OtherPart.depth = 4\n')


def test_replacing_a_part_on_the_command_line_excuses_the_bindings_of_the_replaced(make):
    assert make('--gin.WORKDIR=a', '--gin.PART=None').part is None


def test_but_not_a_binding_given_beside_the_replacement(make):
    with pytest.raises(gin_config.ConfigurationError, match='Part.width has no effect'):
        make('--gin.WORKDIR=a', '--gin.PART=None', '--gin.sample_recipe.Part.width=4')


def test_a_missing_file_names_the_nearest_known():
    parser = argparse.ArgumentParser()
    gin_config.add_arguments(parser)
    _, arguments = gin_config.parse_arguments(parser, ['--gin_file=gin_configs/tiger/quikstart.gin'])
    with pytest.raises(gin_config.ConfigurationError, match='did you mean .gin_configs/tiger/quickstart.gin'):
        gin_config.load(arguments)


def test_a_binding_without_a_value_ends_the_launcher(capsys):
    parser = argparse.ArgumentParser()
    gin_config.add_arguments(parser)
    with pytest.raises(SystemExit):
        gin_config.parse_arguments(parser, ['--gin_file=a.gin', '--gin.WORKDIR'])
    assert 'write --gin.WORKDIR=VALUE' in capsys.readouterr().err
