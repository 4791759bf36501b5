"""A Google Cloud of one machine, played by a script that stands in for `gcloud` and records its calls."""

import dataclasses
import os
import pathlib
import shlex
import shutil
import subprocess
from collections.abc import Sequence

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS = REPOSITORY / 'tpu_scripts'

# Answers the questions for a state with the next line that the test has written down, fails where the test
# says so, and copies to and runs on the worker, a folder, where the test has made one.
GCLOUD = r"""#!/usr/bin/env bash
set -euo pipefail
printf '%s\x1f' "$@" >>"$FAKE_CLOUD/calls"
printf '\x1e' >>"$FAKE_CLOUD/calls"

answer() {
  local line
  line=$(head -n 1 "$FAKE_CLOUD/$1")
  [[ -n $line ]] || { echo "the test has no further answer in $1" >&2; exit 97; }
  sed -i 1d "$FAKE_CLOUD/$1"
  echo 'Updates are available for some Google Cloud CLI components.' >&2
  if [[ $line == error:* ]]; then echo "ERROR: (gcloud) ${line#error:}" >&2; exit 1; fi
  echo "$line"
}

on_worker() { HOME=$FAKE_CLOUD/worker bash -c "$1"; }

for file in "$FAKE_CLOUD"/fails_*; do
  if [[ -f $file && $* == *"${file##*/fails_}"* ]] && (($(<"$file") > 0)); then
    echo $(($(<"$file") - 1)) >"$file"
    echo 'ERROR: (gcloud) as the test wishes' >&2
    exit 1
  fi
done
case $* in
  *'queued-resources describe'*) answer queue ;;
  *' describe '*) answer node ;;
  *'operations list'*) answer operations ;;
  *'worker_run.sh state'*) if [[ ! -d $FAKE_CLOUD/worker ]]; then answer runs; exit; fi ;;
esac
if [[ -d $FAKE_CLOUD/worker ]]; then
  while (($#)); do
    case $1 in
      scp) cp -r "${2/#llmrec:/$FAKE_CLOUD/worker/}" "${3/#llmrec:/$FAKE_CLOUD/worker/}" ;;
      --command=*) on_worker "${1#*=}" ;;
    esac
    shift
  done
fi
"""

SETTINGS = {
    'MACHINE': 'tpu',
    'PROJECT': 'my-project',
    'ZONE': 'us-east5-b',
    'NAME': 'llmrec',
    'SERVICE_ACCOUNT': 'llmrec@my-project.iam.gserviceaccount.com',
    'BUCKET': 'my-bucket',
    'NETWORK': 'default',
    'SUBNETWORK': 'default',
    'PROVISIONING': 'queued-spot',
    'ACCELERATOR_TYPE': 'v6e-16',
}
GPU_SETTINGS = {
    **{name: value for name, value in SETTINGS.items() if name != 'ACCELERATOR_TYPE'},
    'MACHINE': 'gpu',
    'PROVISIONING': 'spot',
    'MACHINE_TYPE': 'a3-highgpu-1g',
    'IMAGE_FAMILY': 'ubuntu-accelerator-2204-amd64-with-nvidia-580',
    'IMAGE_PROJECT': 'ubuntu-os-accelerator-images',
}


@dataclasses.dataclass(frozen=True)
class FakeCloud:
    """A checkout with the scripts, a settings file and a `gcloud` that answers from the files in `folder`."""

    folder: pathlib.Path
    checkout: pathlib.Path

    @property
    def worker(self) -> pathlib.Path:
        """The home folder of the one worker; where it exists, copies and commands are carried out there."""
        return self.folder / 'worker'

    def answer(self, **lines: Sequence[str]) -> None:
        """Writes down the next answers of `queue`, `node`, `runs` (bare states) or `operations`."""
        for name, answers in lines.items():
            prefix = 'llmrec-run: host ' if name == 'runs' else ''
            text = '\n'.join(line if line.startswith('error:') else prefix + line for line in answers)
            (self.folder / name).write_text(text + '\n')

    def fail(self, word: str, times: int) -> None:
        """Lets the next `times` calls that contain `word` fail."""
        (self.folder / f'fails_{word}').write_text(str(times))

    def unanswered(self) -> str:
        """What the scripts did not ask for."""
        names = ('queue', 'node', 'runs', 'operations')
        return ''.join((self.folder / name).read_text() for name in names if (self.folder / name).is_file())

    def calls(self) -> list[list[str]]:
        """The arguments of every call."""
        recorded = self.folder / 'calls'
        calls = recorded.read_text().split('\x1e')[:-1] if recorded.is_file() else []
        return [call.split('\x1f')[:-1] for call in calls]

    def settings(self, values: dict[str, str]) -> None:
        """Writes the settings file."""
        text = ''.join(f'{name}={shlex.quote(value)}\n' for name, value in values.items())
        (self.checkout / 'tpu_scripts' / 'settings.sh').write_text(text)

    def run(self, script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a script of the checkout."""
        return subprocess.run(
            ['bash', str(self.checkout / 'tpu_scripts' / script), *arguments],
            env={
                'PATH': f'{self.folder}:{os.environ["PATH"]}',
                'HOME': str(self.folder),
                'FAKE_CLOUD': str(self.folder),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=60,
        )


def make(folder: pathlib.Path) -> FakeCloud:
    """A cloud whose machine is that of `SETTINGS`, and a committed checkout that holds the scripts alone."""
    cloud = FakeCloud(folder / 'cloud', folder / 'checkout')
    cloud.folder.mkdir()
    gcloud = cloud.folder / 'gcloud'
    gcloud.write_text(GCLOUD)
    gcloud.chmod(0o755)
    shutil.copytree(SCRIPTS, cloud.checkout / 'tpu_scripts', ignore=shutil.ignore_patterns('settings.sh'))
    (cloud.checkout / '.gitignore').write_text('/tpu_scripts/settings.sh\n')
    git = ['git', '-C', str(cloud.checkout), '-c', 'user.name=test', '-c', 'user.email=test@example.com']
    for command in (['init', '-q'], ['add', '-A'], ['commit', '-q', '-m', 'Scripts']):
        subprocess.run([*git, *command], check=True)
    cloud.settings(SETTINGS)
    return cloud
