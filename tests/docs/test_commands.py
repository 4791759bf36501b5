"""Every command that a page shows is known in commands.txt, and is checked in the way that stands there."""

import importlib.util
import json
import pathlib
import re
import shlex

import pytest

from llmrec_jax.runs import gin_config
from tests.docs import dry_run
from tests.docs.pages import PAGES, ROOT, SPAN, commands, prose

TABLE = pathlib.Path(__file__).with_name('commands.txt')
KNOWN = {
    command: check
    for check, command in (
        line.split(' ', 1) for line in TABLE.read_text().splitlines() if not line.startswith('#')
    )
}
SHOWN = {command for page in PAGES for command in commands(page)}
LAUNCHED = {
    name
    for page in PAGES
    for span in SPAN.findall(prose(page))
    for name in re.findall(r'-m (llmrec_jax\.\w+)', span)
}
# Gin files that another command of the same page makes, or that a page tells its reader to write.
WRITTEN = {
    'checkpoints/flan_t5_base/network.gin': "include 'gin_configs/models/flan_t5_base.gin'\n",
    'runs/my_task/config.gin': (
        "include 'gin_configs/flan_t5/finetune.gin'\n"
        "WORKDIR = 'runs/my_task'\nEXAMPLES = 'data/my_task/train'\nINITIAL_CHECKPOINT = None\n"
    ),
    'runs/my_task_lora/config.gin': (
        "include 'gin_configs/flan_t5/finetune.gin'\ninclude 'gin_configs/overlays/lora.gin'\n"
        "WORKDIR = 'runs/my_task_lora'\nEXAMPLES = 'data/my_task/train'\nINITIAL_CHECKPOINT = 'base'\n"
    ),
    'runs/my_reviews/config.gin': (
        "include 'gin_configs/flan_t5/finetune.gin'\ninclude 'gin_configs/models/t5_tiny.gin'\n"
        "WORKDIR = 'runs/my_reviews'\nEXAMPLES = 'data/my_reviews/train'\nINITIAL_CHECKPOINT = None\n"
    ),
    'cards/ratings/corpus.gin': (
        "include 'gin_configs/parts/corpora/tables.gin'\nINTERACTIONS = 'ratings.csv'\n"
    ),
    'my_task.gin': "include 'gin_configs/p5/smoke.gin'\n",
    'my_shop.gin': "include 'gin_configs/sasrec/smoke.gin'\n",
    'decayed_mean.gin': "include 'gin_configs/sasrec/smoke.gin'\n",
}


def checked(*ways):
    return sorted(command for command, check in KNOWN.items() if check.split(':')[0] in ways)


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """The working directory of someone who followed the pages."""
    for name, text in WRITTEN.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)


def test_every_command_is_known():
    assert SHOWN - KNOWN.keys() == set(), f'say in {TABLE} how these are checked'


def test_every_known_command_is_shown():
    assert KNOWN.keys() - SHOWN == set()


@pytest.mark.parametrize('command', checked('dry', 'run'))
def test_flags_and_gin_files_are_accepted(command, reader):
    dry_run.check(shlex.split(command))


@pytest.mark.parametrize('command', checked('run'))
def test_another_test_runs_the_recipe(command):
    test = (ROOT / KNOWN[command].split(':')[1]).read_text()
    assert all(name in test for name in re.findall(r'--gin_file=(\S+)', command))


@pytest.mark.parametrize('command', checked('t5x'))
def test_t5x_has_the_gin_files_and_macros(command):
    dry_run.check_t5x(shlex.split(command))


@pytest.mark.parametrize('command', checked('make'))
def test_make_has_the_target(command):
    (target,) = shlex.split(command)[1:]
    assert re.search(rf'^{target}:', (ROOT / 'Makefile').read_text(), re.MULTILINE)


@pytest.mark.parametrize('command', checked('tfds'))
def test_tfds_has_the_flags_and_the_data_set(command):
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import naming
    from tensorflow_datasets.scripts.cli import build, cli_utils

    _, subcommand, *arguments = shlex.split(command)
    assert subcommand == 'build'
    parsed = cli_utils.make_flags_parser(build.Args, description='')([subcommand, *arguments])
    importlib.import_module(parsed.generation.imports)
    name, config = naming.parse_builder_name_kwargs(parsed.positional_datasets[0])
    builder = tfds.builder_cls(str(name))
    if config:
        assert config['config'] in builder.builder_configs
    if own := json.loads(parsed.generation.config or '{}'):
        builder.source(**own.pop('settings'))
        builder.builder_config_cls(**own)


@pytest.mark.parametrize('command', checked('benchmark'))
def test_the_benchmark_has_the_flags(command):
    _, script, *arguments = shlex.split(command)
    text = (ROOT / script).read_text()
    flags = [word for word in arguments if word.startswith('--')]
    assert flags
    assert [flag for flag in flags if f"'{flag}'" not in text] == []


@pytest.mark.parametrize('module', sorted(LAUNCHED))
def test_launchers_in_the_text_exist(module):
    assert importlib.util.find_spec(module) is not None


@pytest.mark.parametrize(
    ('command', 'error'),
    [
        ('python -m llmrec_jax.run --parts=corpus --gin_file=gin_configs/tiger/smoke.gin', SystemExit),
        ('python -m llmrec_jax.run --gin_file=gin_configs/tiger/smoke.gin', gin_config.ConfigurationError),
        (
            'python -m llmrec_jax.run --gin_file=gin_configs/tiger/smoke.gin --gin.WORKDIR=x --gin.STEPS=3',
            gin_config.ConfigurationError,
        ),
        (
            'python -m llmrec_jax.run --gin_file=gin_configs/tiger/smok.gin --gin.WORKDIR=runs/x',
            gin_config.ConfigurationError,
        ),
    ],
    ids=['flag', 'required', 'macro', 'file'],
)
def test_what_is_wrong_is_found(command, error, capsys):
    with pytest.raises(error):
        dry_run.check(shlex.split(command))


@pytest.mark.parametrize(
    ('command', 'error'),
    [
        ('python -m t5x.train --gin_file=gin_configs/runs/t5x.gin', FileNotFoundError),
        ('python -m t5x.train --gin_file=gin_configs/runs/t5x_train.gin --gin.MODEL_DIRECTORY=x', ValueError),
    ],
    ids=['file', 'macro'],
)
def test_what_is_wrong_for_t5x_is_found(command, error):
    with pytest.raises(error):
        dry_run.check_t5x(shlex.split(command))
