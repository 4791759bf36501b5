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
        (tmp_path / 'recipe.gin').write_text(text, encoding='utf-8')
        parser = argparse.ArgumentParser()
        gin_config.add_arguments(parser)
        flags = ['--gin_file=recipe.gin', f'--gin_search_paths={tmp_path}', *arguments]
        _, gin_arguments = gin_config.parse_arguments(parser, flags)
        return gin_config.instantiate(sample_recipe.Whole, gin_config.load(gin_arguments))

    return build


def test_files_and_bindings_configure_the_recipe(make):
    whole = make("--gin.WORKDIR='runs/a'", '--gin.WIDTH=7')
    assert whole == sample_recipe.Whole(part=sample_recipe.Part(width=7), workdir='runs/a')


TEXTS = [
    *('runs/a', './runs/a', '/data/runs-1.2/a', '~/runs', 'name', '100k', '1m', 'a=b', 'a#b', 'None', 'True'),
    *('20240501', '1e5', 'my runs/x', 'runs (1)/x', '实验/运行1', 'user@host', '100%', "it's", 'nan', '0x1f'),
    *('2024-05-01_run', '(1, 2)', '[x]', 'a"b', "'a", 'a\\', '1_000', '-', '@', '%', '@@x', '{}', '# x'),
]


@pytest.mark.parametrize('value', TEXTS)
def test_what_is_bound_to_text_is_text_however_it_looks(make, value):
    assert make(f'--gin.WORKDIR={value}').workdir == value
    assert make('--gin.WORKDIR=a', f'--gin.sample_recipe.Whole.workdir={value}').workdir == value
    # What a run writes of it is read as the same.
    assert make(text=gin_config.operative_config()).workdir == value


@pytest.mark.parametrize(('value', 'text'), [("'a b'", 'a b'), ('"it\'s"', "it's"), ("'1'", '1'), ("''", '')])
def test_text_in_quotes_is_what_it_was(make, value, text):
    assert make(f'--gin.WORKDIR={value}').workdir == text


def test_text_may_refer_to_other_text(make):
    assert make('--gin.WORKDIR=%OTHER', '--gin.OTHER=a b', text=RECIPE + "OTHER = 'c'").workdir == 'a b'


def test_text_that_is_handed_on_or_stands_within_something_is_text_too(make):
    handed = RECIPE.replace('workdir = %WORKDIR', 'workdir = %HANDED') + 'HANDED = %WORKDIR'
    assert make('--gin.WORKDIR=1e5', text=handed).workdir == '1e5'
    within = RECIPE + "NAME = 'a'\nsample_recipe.Whole.extra = {'name': [%NAME]}"
    assert make('--gin.WORKDIR=a', '--gin.NAME=1e5', text=within).extra == {'name': ['1e5']}


@pytest.mark.parametrize('value', ['3', '-1', '0x1f', '1_000'])
def test_numbers_stay_numbers(make, value):
    assert make('--gin.WORKDIR=a', f'--gin.WIDTH={value}').part.width == int(value, 0)


@pytest.mark.parametrize('value', ['abc', '1e5', '1.5', '(1', 'nan', "'3'", 'True or', '[3]', 'None', "it's"])
@pytest.mark.parametrize('name', ['WIDTH', 'sample_recipe.Part.width'])
def test_a_value_of_another_type_is_named_with_what_is_expected(make, name, value):
    with pytest.raises(gin_config.ConfigurationError) as raised:
        make('--gin.WORKDIR=a', f'--gin.{name}={value}')
    assert str(raised.value) == f'--gin.{name}={value}: Part.width takes int'


def test_a_value_of_another_type_in_a_file_is_named_too(make):
    with pytest.raises(gin_config.ConfigurationError, match=r"WIDTH = 'abc': Part\.width takes int"):
        make('--gin.WORKDIR=a', text=RECIPE.replace('WIDTH = 3', "WIDTH = 'abc'"))


def test_a_word_in_the_place_of_a_number_within_something_is_named(make):
    within = RECIPE + "SIZE = 4\nsample_recipe.Whole.extra = {'sizes': [%SIZE]}"
    assert make('--gin.WORKDIR=a', '--gin.SIZE=5', text=within).extra == {'sizes': [5]}
    with pytest.raises(gin_config.ConfigurationError, match='--gin.SIZE=abc is text'):
        make('--gin.WORKDIR=a', '--gin.SIZE=abc', text=within)


def test_a_binding_that_is_empty_is_an_error(make):
    with pytest.raises(gin_config.ConfigurationError, match="write --gin.WORKDIR='' for an empty text"):
        make('--gin.WORKDIR=')


def test_gin_files_are_utf_8_with_or_without_a_mark(make):
    text = RECIPE.replace('%gin.REQUIRED', "'实验 ▁'")
    windows = '\ufeff' + text.replace('\n', '\r\n')
    assert make(text=text).workdir == make(text=windows).workdir == '实验 ▁'


def test_a_gin_file_in_another_encoding_is_named(make, tmp_path):
    (tmp_path / 'other.gin').write_bytes('WIDTH = 4\n# é\n'.encode('latin-1'))
    with pytest.raises(ValueError, match=r'other.gin, line 2: bytes that are not UTF-8'):
        make('--gin.WORKDIR=a', text=RECIPE + "include 'other.gin'")


def test_operative_config_reproduces_the_run(make, tmp_path):
    first = make('--gin.WORKDIR=a', '--gin.WIDTH=9')
    text = gin_config.operative_config()
    assert make(text=text) == first


@pytest.mark.parametrize(
    ('binding', 'message'),
    [
        ('WORKDRI=x', 'did you mean WORKDIR?'),
        ('sample_recipe.Part.widht=2', 'did you mean sample_recipe.Part.width?'),
        ('sample_recipe.Prat.width=2', 'did you mean Part.width?'),
        ('label=b', r'did you mean Part\.label\?'),
        ('workdir=b', r'did you mean WORKDIR\?'),
        ('extra=1', r'did you mean Whole\.extra\?'),
    ],
)
def test_a_typo_is_an_error_that_names_the_nearest(make, binding, message):
    with pytest.raises(gin_config.ConfigurationError, match=message):
        make('--gin.WORKDIR=a', f'--gin.{binding}')


def test_what_is_suggested_can_be_bound(make):
    assert make('--gin.WORKDIR=a', '--gin.Part.width=2').part.width == 2


def test_a_parameter_of_several_classes_is_told_with_all_of_them(make):
    text = (
        RECIPE + 'sample_recipe.OtherPart.depth = 2\nsample_recipe.Whole.extra = @sample_recipe.OtherPart()\n'
    )
    with pytest.raises(gin_config.ConfigurationError, match=r'OtherPart\.label or Part\.label'):
        make('--gin.WORKDIR=a', '--gin.label=b', text=text)


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


def test_a_binding_in_a_scope_that_nothing_is_called_in_is_an_error(make):
    scoped = RECIPE + '\nnarrow/sample_recipe.Part.width = 4\n'
    with pytest.raises(gin_config.ConfigurationError, match='narrow/.*Part.width has no effect'):
        make('--gin.WORKDIR=a', text=scoped)
    called = scoped + 'sample_recipe.Whole.extra = @narrow/sample_recipe.Part()\n'
    assert make('--gin.WORKDIR=a', text=called).extra.width == 4
    # What the command line replaced came with the recipe.
    assert make('--gin.WORKDIR=a', '--gin.sample_recipe.Whole.extra=None', text=called).extra is None


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
