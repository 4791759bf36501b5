"""What the wheel holds, and that recipes are found where it is installed."""

import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

from llmrec_jax.runs.gin_config import REPOSITORY

# What the wheel is built from.
SOURCES = ('setup.py', 'pyproject.toml', 'README.md', 'llmrec_jax', 'tasks', 'gin_configs')
FIND = """
import argparse, pathlib, sys
from gin import resource_reader
import llmrec_jax
from llmrec_jax.runs import gin_config
from llmrec_jax.runs.system import System

installed, *files = sys.argv[1:]
assert pathlib.Path(llmrec_jax.__file__).is_relative_to(installed)
# T5X finds them by gin's own search.
assert [file for file in files if not resource_reader.system_path_file_exists(file)] == []
parser = argparse.ArgumentParser()
gin_config.add_arguments(parser)
flags = ['--gin_file=gin_configs/tiger/smoke.gin', '--gin.WORKDIR=runs/smoke']
_, arguments = gin_config.parse_arguments(parser, flags)
loaded = gin_config.load(arguments)
assert gin_config.instantiate(gin_config.configured(System), loaded).trainer.steps == 200
"""


@pytest.fixture(scope='module')
def installed(tmp_path_factory) -> pathlib.Path:
    """A folder with what `pip install .` would put into site-packages."""
    folder = tmp_path_factory.mktemp('wheel')
    # A copy, because a build leaves files beside what it builds, which would come into the next wheel.
    source = folder / 'source'
    source.mkdir()
    for name in SOURCES:
        path = REPOSITORY / name
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, source / name)
    build = [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-build-isolation', '--quiet', '.']
    subprocess.run([*build, f'--wheel-dir={folder}'], cwd=source, check=True)
    (wheel,) = folder.glob('*.whl')
    zipfile.ZipFile(wheel).extractall(folder / 'site')
    return folder / 'site'


def recipes(folder: pathlib.Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in (folder / 'gin_configs').rglob('*.gin'))


def test_every_gin_file_is_in_the_wheel(installed):
    assert recipes(installed) == recipes(REPOSITORY)


def test_recipes_are_found_from_an_empty_folder(installed, tmp_path):
    environment = {**os.environ, 'PYTHONPATH': str(installed)}
    command = [sys.executable, '-c', FIND, str(installed), *recipes(REPOSITORY)]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
