"""What Google's own linter says of gcloud commands; it knows every command and flag, and asks no network."""

import json
import os
import pathlib
import shutil
import subprocess
from collections.abc import Iterable

import pytest

needs_gcloud = pytest.mark.skipif(
    shutil.which('gcloud') is None, reason='needs the Google Cloud CLI, to ask it for its flags'
)


def complaints(commands: Iterable[str], folder: pathlib.Path) -> list[str]:
    """The linter's errors, with the commands that they are about.

    Args:
      commands: command lines, each beginning with `gcloud`.
      folder: an empty folder for gcloud's own files, so that it finds nobody's settings.
    """
    given = sorted(set(commands))
    (folder / 'commands.json').write_text(json.dumps([{'command_string': line} for line in given]))
    run = subprocess.run(
        ['gcloud', 'meta', 'lint-gcloud-commands', f'--commands-file={folder / "commands.json"}'],
        env={'PATH': os.environ['PATH'], 'CLOUDSDK_CONFIG': str(folder), 'HOME': str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    verdicts = json.loads(run.stdout)
    assert len(verdicts) == len(given) > 0
    return [f'{one["command_string"]}: {one["error_message"]}' for one in verdicts if not one['success']]
