"""What the scripts do on a worker, done for real in a folder that plays its home."""

import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

from tests.tpu_scripts import fake_cloud

WORDS = [
    "it's",
    '"quoted"',
    '$HOME `date` $(date)',
    'a  b',
    '*',
    '#no comment',
    '',
    'back\\slash',
    "--gin.X='two words'",
]


@pytest.fixture
def worker(cloud: fake_cloud.FakeCloud) -> pathlib.Path:
    """A worker's home that setup.sh has been at."""
    cloud.worker.mkdir()
    (cloud.worker / 'llmrec_jax').symlink_to(cloud.checkout)
    cloud.answer(queue=['ACTIVE'] * 100, node=['READY'] * 100)
    return cloud.worker


def wait_for(cloud: fake_cloud.FakeCloud, state: str) -> None:
    for _ in range(100):
        status = cloud.run('status.sh')
        assert status.returncode == 0, status.stderr
        lines = status.stdout.splitlines()
        assert lines[0] == 'llmrec is ready'
        if lines[1].split(' ', 2)[2] == state:
            return
        time.sleep(0.05)
    raise AssertionError(f'not {state!r} but {lines[1]!r}')


def test_a_command_arrives_word_for_word(cloud: fake_cloud.FakeCloud, worker: pathlib.Path) -> None:
    code = (
        'import json, os, sys; json.dump([sys.argv[1:], os.getcwd()], open(os.environ["HOME"] + "/got", "w"))'
    )
    launch = cloud.run('launch.sh', '--', sys.executable, '-S', '-c', code, *WORDS)
    assert launch.returncode == 0, launch.stderr
    wait_for(cloud, 'finished')
    words, folder = json.loads((worker / 'got').read_text())
    assert words == WORDS
    assert pathlib.Path(folder) == cloud.checkout


def test_a_run_outlives_its_connection_and_reports_how_it_ended(
    cloud: fake_cloud.FakeCloud, worker: pathlib.Path
) -> None:
    wait_for(cloud, 'none')
    launch = cloud.run(
        'launch.sh',
        '--',
        'bash',
        '-c',
        'echo begun; until [ -f "$HOME"/go ]; do sleep 0.02; done; echo ended; exit 7',
    )
    assert launch.returncode == 0, launch.stderr
    wait_for(cloud, 'running')
    second = cloud.run('launch.sh', '--', 'true')
    assert second.returncode == 2
    assert 'a run is going on already' in second.stderr
    (worker / 'go').touch()
    wait_for(cloud, 'failed 7')
    log = cloud.run('logs.sh', '--lines=2')
    assert log.stdout == 'begun\nended\n'
    launch = cloud.run('launch.sh', '--', 'true')
    assert launch.returncode == 0, launch.stderr
    wait_for(cloud, 'finished')


def test_stop_ends_the_run_and_what_it_started(cloud: fake_cloud.FakeCloud, worker: pathlib.Path) -> None:
    cloud.run('launch.sh', '--', 'bash', '-c', 'sleep 600 & echo $! >"$HOME"/child; wait')
    wait_for(cloud, 'running')
    while not (worker / 'child').is_file() or not (worker / 'child').read_text():
        time.sleep(0.02)
    child = int((worker / 'child').read_text())
    stop = cloud.run('stop.sh')
    assert stop.returncode == 0, stop.stderr
    wait_for(cloud, 'died')
    assert not alive(child)
    assert cloud.run('stop.sh').returncode == 0


def alive(process: int) -> bool:
    """Whether the process runs; one that has ended and not been waited for does not."""
    try:
        return ') Z ' not in pathlib.Path(f'/proc/{process}/stat').read_text()
    except FileNotFoundError:
        return False


def test_a_run_from_before_a_restart_of_the_machine_is_none(
    cloud: fake_cloud.FakeCloud, worker: pathlib.Path
) -> None:
    run = worker / 'llmrec_run'
    run.mkdir()
    # The number is that of a process that lives, as it may be after a restart.
    (run / 'process').write_text(f'{os.getpid()}\n')
    (run / 'boot').write_text('another\n')
    wait_for(cloud, 'none')


def test_setup_checks_the_commit_out_mounts_the_bucket_and_installs(cloud: fake_cloud.FakeCloud) -> None:
    cloud.worker.mkdir()
    record = f'printf "%s\\n" "$0 $*" >>{cloud.folder}/installed\n'
    uv = cloud.worker / '.local' / 'bin' / 'uv'
    python = cloud.worker / 'llmrec_venv' / 'bin' / 'python'
    for program in (*(cloud.folder / name for name in ('python3', 'sudo', 'gcsfuse')), uv, python):
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f'#!/bin/bash\n{record}')
        program.chmod(0o755)
    mountpoint = cloud.folder / 'mountpoint'
    mountpoint.write_text('#!/bin/bash\nexit 1\n')
    mountpoint.chmod(0o755)
    kept = cloud.worker / 'llmrec_jax' / 'runs' / 'results.json'
    kept.parent.mkdir(parents=True)
    kept.write_text('{}')

    setup = cloud.run('setup.sh', '--t5x')

    assert setup.returncode == 0, setup.stderr
    commits = [
        subprocess.run(
            ['git', '-C', str(folder), 'rev-parse', 'HEAD'], capture_output=True, text=True, check=True
        ).stdout
        for folder in (cloud.checkout, cloud.worker / 'llmrec_jax')
    ]
    assert commits[0] == commits[1]
    assert kept.read_text() == '{}'
    installed = (cloud.folder / 'installed').read_text().splitlines()
    programs_called = [pathlib.Path(line.split(' ')[0]).name for line in installed]
    assert programs_called == ['sudo', 'gcsfuse', 'python3', 'uv', 'uv', 'uv', 'python']
    assert installed[1].endswith(' my-bucket /mnt/bucket')
    assert '.[tpu,t5x]' in installed[4]
    assert installed[5].endswith('--no-deps --requirement t5x_requirements.txt')
    assert installed[6].endswith('-m llmrec_jax.check_install --tpu --t5x')


def test_fetch_brings_a_folder_of_the_worker(cloud: fake_cloud.FakeCloud, tmp_path: pathlib.Path) -> None:
    results = cloud.worker / 'llmrec_jax' / 'runs' / 'beauty'
    results.mkdir(parents=True)
    (results / 'results.json').write_text('{}')
    destination = tmp_path / 'here' / 'beauty'
    fetch = cloud.run('fetch.sh', 'llmrec_jax/runs/beauty', str(destination))
    assert fetch.returncode == 0, fetch.stderr
    assert (destination / 'results.json').read_text() == '{}'


def test_a_slurm_job_goes_back_into_the_queue_when_its_time_is_up(cloud: fake_cloud.FakeCloud) -> None:
    (cloud.folder / 'srun').write_text(
        '#!/bin/bash\nprintf "%s\\n" "$*" >"$FAKE_CLOUD"/srun_called\nexec sleep 600\n'
    )
    (cloud.folder / 'scontrol').write_text(
        '#!/bin/bash\nprintf "%s\\n" "$*" >"$FAKE_CLOUD"/requeued\nkill $(pgrep -P $PPID sleep)\n'
    )
    for name in ('srun', 'scontrol'):
        (cloud.folder / name).chmod(0o755)
    job = subprocess.Popen(
        [
            'bash',
            str(fake_cloud.SCRIPTS / 'slurm_job.sbatch'),
            'python',
            '-m',
            'llmrec_jax.run',
            '--distributed',
        ],
        env={
            **os.environ,
            'PATH': f'{cloud.folder}:{os.environ["PATH"]}',
            'FAKE_CLOUD': str(cloud.folder),
            'SLURM_JOB_ID': '42',
        },
    )
    called = cloud.folder / 'srun_called'
    while not called.is_file() or not called.read_text():
        time.sleep(0.02)
    job.send_signal(10)
    job.wait(timeout=30)
    assert (cloud.folder / 'requeued').read_text() == 'requeue 42\n'
    assert called.read_text() == '--kill-on-bad-exit=1 --label python -m llmrec_jax.run --distributed\n'


def test_a_slurm_job_ends_as_its_command_does(cloud: fake_cloud.FakeCloud) -> None:
    (cloud.folder / 'srun').write_text('#!/bin/bash\nshift 2\nexec "$@"\n')
    (cloud.folder / 'srun').chmod(0o755)
    for code in (0, 7):
        assert cloud.run('slurm_job.sbatch', 'bash', '-c', f'exit {code}').returncode == code
