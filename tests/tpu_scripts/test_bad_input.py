"""What the user gets wrong is said in one line, before anything is asked of the cloud."""

import pytest

from tests.tpu_scripts import fake_cloud


@pytest.mark.parametrize(
    'name', ['MACHINE', 'PROJECT', 'ZONE', 'NAME', 'PROVISIONING', 'SERVICE_ACCOUNT', 'ACCELERATOR_TYPE']
)
def test_a_missing_setting_is_named(cloud: fake_cloud.FakeCloud, name: str) -> None:
    cloud.settings({**fake_cloud.SETTINGS, name: ''})
    run = cloud.run('create.sh')
    assert run.returncode == 2
    assert run.stderr.startswith(f'create.sh: {name} is not set in ')
    assert not cloud.calls()


def test_a_variable_of_the_environment_is_no_setting(cloud: fake_cloud.FakeCloud) -> None:
    cloud.settings({name: value for name, value in fake_cloud.SETTINGS.items() if name != 'NAME'})
    run = cloud.run('create.sh', NAME='the machine that I sit at')
    assert 'NAME is not set' in run.stderr


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'MACHINE': 'cpu'}, "is 'cpu'; it may be tpu or gpu"),
        ({'PROVISIONING': 'cheap'}, "is 'cheap'; a TPU's may be on-demand, spot, queued or queued-spot"),
        (
            {'ACCELERATOR_TYPE': 'v9-8'},
            'no system image is known for ACCELERATOR_TYPE=v9-8; set RUNTIME_VERSION',
        ),
    ],
)
def test_a_wrong_setting_is_named(cloud: fake_cloud.FakeCloud, change: dict[str, str], message: str) -> None:
    cloud.settings({**fake_cloud.SETTINGS, **change})
    run = cloud.run('create.sh')
    assert run.returncode == 2
    assert message in run.stderr
    assert run.stderr.count('\n') == 1
    assert not cloud.calls()


def test_a_gpu_machine_cannot_be_queued(cloud: fake_cloud.FakeCloud) -> None:
    cloud.settings({**fake_cloud.GPU_SETTINGS, 'PROVISIONING': 'queued'})
    run = cloud.run('create.sh')
    assert run.returncode == 2
    assert "a GPU machine's may be on-demand or spot" in run.stderr


@pytest.mark.parametrize(
    ('script', 'arguments', 'message'),
    [
        ('create.sh', ['--spot'], 'unknown argument --spot'),
        ('setup.sh', ['--t5'], 'unknown argument --t5'),
        ('launch.sh', [], 'say after -- what to run'),
        ('watch.sh', ['--failures=none', '--', 'true'], '--failures=none is no positive number'),
        ('watch.sh', ['--every=5m', '--', 'true'], '--every=5m is no number of seconds'),
        ('logs.sh', ['--worker=first'], '--worker=first is neither a number nor all'),
        ('logs.sh', ['--lines=many'], '--lines=many is no number'),
        ('fetch.sh', ['gs://bucket/run'], 'give what to copy and where to'),
        ('fetch.sh', ['run', '/'], '/ exists already'),
        ('worker_install.sh', ['--t5x'], 'say for which device: tpu or gpu'),
        ('worker_mount.sh', [], 'give the name of one bucket'),
        ('worker_run.sh', ['begin'], "say start, state, log or stop, not 'begin'"),
        ('slurm_job.sbatch', [], 'say after the script what to run'),
        ('create.sh', ['--settings=nowhere.sh'], 'no settings file nowhere.sh; copy'),
    ],
)
def test_a_wrong_argument_is_named(
    cloud: fake_cloud.FakeCloud, script: str, arguments: list[str], message: str
) -> None:
    run = cloud.run(script, *arguments)
    assert run.returncode == 2
    assert message in run.stderr
    assert run.stderr.count('\n') == 1
    assert not cloud.calls()


def test_uncommitted_changes_are_not_left_behind_silently(cloud: fake_cloud.FakeCloud) -> None:
    with open(cloud.checkout / 'tpu_scripts' / 'commands.sh', 'a') as file:
        file.write('# changed\n')
    run = cloud.run('setup.sh')
    assert run.returncode == 2
    assert 'differ from its last commit' in run.stderr
    assert not cloud.calls()


def test_help_is_the_head_of_the_script(cloud: fake_cloud.FakeCloud) -> None:
    run = cloud.run('watch.sh', '--help')
    assert run.returncode == 0
    assert run.stdout.startswith('Keeps a run going until it is finished')
    assert 'set -euo' not in run.stdout
