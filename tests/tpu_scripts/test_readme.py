"""Every command that the scripts' page shows exists and is accepted."""

import importlib.util
import itertools
import pathlib
import shlex
import string

import pytest

from tests.tpu_scripts import fake_cloud, google_linter
from tests.tpu_scripts.commands_in_text import blocks, inline

VALUES = {'PROJECT': 'my-project', 'ZONE': 'us-east5-b', 'REGION': 'us-east5', 'BUCKET': 'my-project-llmrec'}
PAGE = string.Template((fake_cloud.SCRIPTS / 'README.md').read_text()).substitute(VALUES)
COMMANDS = [*blocks(PAGE), *inline(PAGE)]
SCALE = (fake_cloud.REPOSITORY / 'docs' / 'scale.md').read_text()
# `launch_local.sh` rents nothing and has no --dry-run; tests/launch/test_many_hosts_run.py uses it.
OF_SCRIPTS = [
    words
    for words in [*COMMANDS, *blocks(SCALE)]
    if words[0].startswith('tpu_scripts/') and words[0] != 'tpu_scripts/launch_local.sh'
]
LAUNCHED = {word for words in COMMANDS for flag, word in itertools.pairwise(words) if flag == '-m'}
GIN_FILES = {word.split('=')[1] for words in COMMANDS for word in words if word.startswith('--gin_file=')}


@pytest.mark.parametrize('words', OF_SCRIPTS, ids=lambda words: ' '.join(words)[:60])
def test_scripts_accept_what_is_shown(cloud: fake_cloud.FakeCloud, words: list[str]) -> None:
    script, *arguments = words
    name = script.removeprefix('tpu_scripts/')
    assert (cloud.checkout / 'tpu_scripts' / name).is_file()
    run = cloud.run(name, '--dry-run', *arguments)
    assert run.returncode == 0, run.stderr
    assert run.stdout


def test_the_page_shows_every_script_that_is_for_users() -> None:
    internal = {
        'commands.sh',
        'machine_tpu.sh',
        'machine_gpu.sh',
        'worker_install.sh',
        'worker_run.sh',
        'worker_mount.sh',
    }
    scripts = {path.name for path in fake_cloud.SCRIPTS.glob('[!.]*.s*')} - internal - {'settings.sh'}
    assert {name for name in scripts if name not in PAGE} == set()


def test_slurm_accepts_the_job_that_is_shown(cloud: fake_cloud.FakeCloud) -> None:
    (words,) = [words for words in COMMANDS if words[0] == 'sbatch']
    script = next(index for index, word in enumerate(words) if not word.startswith('-') and index)
    run = cloud.run(pathlib.Path(words[script]).name, '--dry-run', *words[script + 1 :])
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize('module', sorted(name for name in LAUNCHED if name.startswith('llmrec_jax')))
def test_launchers_that_are_shown_exist(module: str) -> None:
    assert importlib.util.find_spec(module) is not None


@pytest.mark.parametrize('file', sorted(GIN_FILES))
def test_gin_files_that_are_shown_exist(file: str) -> None:
    assert (fake_cloud.REPOSITORY / file).is_file()


@pytest.mark.slow
@google_linter.needs_gcloud
def test_google_clouds_own_linter_knows_what_is_shown(tmp_path: pathlib.Path) -> None:
    shown = [shlex.join(words) for words in COMMANDS if words[0] == 'gcloud']
    assert len(shown) > 15
    assert google_linter.complaints(shown, tmp_path) == []
