"""What every script would do, word for word, and that it does none of it."""

import os
import pathlib
import shlex

import pytest

from tests.tpu_scripts import fake_cloud, google_linter

GOLDEN = pathlib.Path(__file__).parent / 'golden'
COMMAND = (
    '--',
    'python',
    '-m',
    'llmrec_jax.run',
    "--gin.NAME='two words'",
    '--gin.COST=$5 "or" more',
    '--distributed',
)
T5X = ('--', 'python', '-m', 't5x.train', '--gin_file=a.gin', '--multiprocess_gpu')
ON_DEMAND = {**fake_cloud.SETTINGS, 'PROVISIONING': 'on-demand', 'ACCELERATOR_TYPE': 'v5p-32'}
SPOT = {**fake_cloud.SETTINGS, 'PROVISIONING': 'spot', 'ACCELERATOR_TYPE': 'v5litepod-16'}
QUEUED = {**fake_cloud.SETTINGS, 'PROVISIONING': 'queued', 'ACCELERATOR_TYPE': 'v4-32'}
QUEUED_SPOT = fake_cloud.SETTINGS
GPU = fake_cloud.GPU_SETTINGS
CASES = {
    'create_on_demand': (ON_DEMAND, 'create.sh'),
    'create_spot': (SPOT, 'create.sh'),
    'create_queued': (QUEUED, 'create.sh'),
    'create_queued_spot': (QUEUED_SPOT, 'create.sh'),
    'create_gpu': (GPU, 'create.sh'),
    'setup': (QUEUED_SPOT, 'setup.sh'),
    'setup_t5x': (ON_DEMAND, 'setup.sh', '--t5x'),
    'setup_gpu': (GPU, 'setup.sh'),
    'setup_without_bucket': ({**QUEUED_SPOT, 'BUCKET': ''}, 'setup.sh'),
    'worker_mount': (QUEUED_SPOT, 'worker_mount.sh', 'my-bucket'),
    'worker_install': (QUEUED_SPOT, 'worker_install.sh', 'tpu', '--t5x'),
    'worker_install_gpu': (GPU, 'worker_install.sh', 'gpu'),
    'launch': (QUEUED_SPOT, 'launch.sh', *COMMAND),
    'launch_t5x': (ON_DEMAND, 'launch.sh', *T5X),
    'launch_gpu': (GPU, 'launch.sh', *COMMAND),
    'status': (QUEUED_SPOT, 'status.sh'),
    'status_gpu': (GPU, 'status.sh'),
    'logs': (QUEUED_SPOT, 'logs.sh'),
    'logs_all': (SPOT, 'logs.sh', '--worker=all', '--lines=5', '--follow'),
    'stop': (QUEUED_SPOT, 'stop.sh'),
    'watch': (QUEUED_SPOT, 'watch.sh', '--t5x', '--failures=5', '--every=30', *T5X),
    'watch_gpu': (GPU, 'watch.sh', *COMMAND),
    'fetch_bucket': (QUEUED_SPOT, 'fetch.sh', 'gs://my-bucket/runs/beauty', 'runs/my beauty'),
    'fetch_worker': (QUEUED_SPOT, 'fetch.sh', 'llmrec_jax/runs/beauty', 'runs/beauty'),
    'fetch_gpu': (GPU, 'fetch.sh', 'llmrec_jax/runs/beauty', 'runs/beauty'),
    'delete_queued': (QUEUED_SPOT, 'delete.sh'),
    'delete_on_demand': (ON_DEMAND, 'delete.sh', '--yes'),
    'delete_gpu': (GPU, 'delete.sh'),
    'slurm_job': (QUEUED_SPOT, 'slurm_job.sbatch', *COMMAND[1:]),
}


def dry_run(cloud: fake_cloud.FakeCloud, name: str) -> str:
    settings, script, *arguments = CASES[name]
    cloud.settings(settings)
    run = cloud.run(script, '--dry-run', *arguments)
    assert run.returncode == 0, run.stderr
    assert not run.stderr
    text = run.stdout.replace(str(cloud.checkout), '/checkout').replace(str(cloud.folder), '$HOME')
    return text.replace(f'--owner={os.getuid()} ', '--owner=1000 ')


@pytest.mark.parametrize('name', CASES)
def test_prints_the_exact_commands_and_runs_none(cloud: fake_cloud.FakeCloud, name: str) -> None:
    printed = dry_run(cloud, name)
    assert printed == (GOLDEN / f'{name}.txt').read_text()
    assert not cloud.calls()


def test_every_script_has_a_dry_run() -> None:
    scripts = {path.name for path in fake_cloud.SCRIPTS.glob('*.s*') if path.read_text().startswith('#!')}
    # worker_run.sh is what the others run on the workers; launch_local.sh runs processes on this machine.
    assert scripts - {'worker_run.sh', 'launch_local.sh'} == {case[1] for case in CASES.values()}


def test_printed_commands_are_read_back_by_a_shell_as_they_were(cloud: fake_cloud.FakeCloud) -> None:
    (line,) = dry_run(cloud, 'launch').splitlines()
    remote = next(word for word in shlex.split(line) if word.startswith('--command='))
    assert shlex.split(remote.removeprefix('--command='))[3:] == list(COMMAND[1:])


@pytest.mark.slow
@google_linter.needs_gcloud
def test_google_clouds_own_linter_knows_every_command_and_flag(tmp_path: pathlib.Path) -> None:
    lines = [line for path in GOLDEN.glob('*.txt') for line in path.read_text().splitlines()]
    assert google_linter.complaints([line for line in lines if line.startswith('gcloud')], tmp_path) == []
