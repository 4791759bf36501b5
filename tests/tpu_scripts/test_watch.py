"""watch.sh against a cloud that preempts, fails, refuses and falls silent."""

import pytest

from tests.tpu_scripts import fake_cloud

COMMAND = ('--every=0', '--', 'python', '-m', 'llmrec_jax.run', '--gin.NAME=two words', '--distributed')


def actions(cloud: fake_cloud.FakeCloud) -> list[str]:
    """The calls that changed something, in order."""
    names = {
        'worker_install.sh': 'set up',
        'worker_run.sh start': 'launch',
        'worker_run.sh stop': 'stop',
        'create': 'create',
        'delete': 'delete',
        'instances start': 'start machine',
    }
    lines = (' '.join(call) for call in cloud.calls())
    found = (next((action for sign, action in names.items() if sign in line), None) for line in lines)
    return [action for action in found if action]


def test_sets_up_launches_and_ends_when_every_worker_has_finished(cloud: fake_cloud.FakeCloud) -> None:
    cloud.answer(
        queue=['WAITING_FOR_RESOURCES', 'PROVISIONING', 'ACTIVE', 'ACTIVE', 'ACTIVE', 'ACTIVE'],
        node=['CREATING', 'READY', 'READY', 'READY'],
        runs=['none', 'running', 'finished'],
    )
    watch = cloud.run('watch.sh', *COMMAND)
    assert watch.returncode == 0, watch.stdout + watch.stderr
    assert actions(cloud) == ['set up', 'launch']
    assert 'finished on every worker' in watch.stdout
    assert 'delete.sh' in watch.stdout
    assert not cloud.unanswered()


def test_a_preemption_costs_one_new_machine_and_the_same_command_again(cloud: fake_cloud.FakeCloud) -> None:
    cloud.answer(
        queue=[
            'ACTIVE',
            'ACTIVE',
            'SUSPENDING\tSERVICE',
            'SUSPENDED\tSERVICE',
            'WAITING_FOR_RESOURCES',
            *['ACTIVE'] * 3,
        ],
        node=['READY'] * 5,
        runs=['none', 'running', 'none', 'running', 'finished'],
    )
    watch = cloud.run('watch.sh', *COMMAND)
    assert watch.returncode == 0, watch.stdout + watch.stderr
    assert actions(cloud) == ['set up', 'launch', 'delete', 'create', 'set up', 'launch']
    launches = [call for call in cloud.calls() if 'worker_run.sh start' in call[-1]]
    assert launches[0] == launches[1]
    assert "'--gin.NAME=two words'" in launches[0][-1]
    assert 'failure' not in watch.stdout
    assert not cloud.unanswered()


def test_a_spot_tpu_that_was_not_queued_is_replaced_too(cloud: fake_cloud.FakeCloud) -> None:
    cloud.settings({**fake_cloud.SETTINGS, 'PROVISIONING': 'spot'})
    cloud.answer(node=['READY', 'PREEMPTED', 'READY', 'READY'], runs=['running', 'none', 'finished'])
    watch = cloud.run('watch.sh', *COMMAND)
    assert watch.returncode == 0, watch.stdout + watch.stderr
    assert actions(cloud) == ['delete', 'create', 'set up', 'launch']
    assert not cloud.unanswered()


def test_a_preempted_gpu_machine_is_started_again_and_nothing_deleted(cloud: fake_cloud.FakeCloud) -> None:
    cloud.settings(fake_cloud.GPU_SETTINGS)
    cloud.answer(
        node=['RUNNING', 'STOPPING', 'TERMINATED', 'STAGING', 'RUNNING', 'RUNNING'],
        operations=['compute.instances.preempted'],
        runs=['running', 'none', 'finished'],
    )
    watch = cloud.run('watch.sh', *COMMAND)
    assert watch.returncode == 0, watch.stdout + watch.stderr
    assert actions(cloud) == ['start machine', 'set up', 'launch']
    assert not cloud.unanswered()


def test_gives_up_after_the_given_number_of_failures_and_keeps_the_machine(
    cloud: fake_cloud.FakeCloud,
) -> None:
    cloud.answer(
        queue=['ACTIVE'] * 5, node=['READY'] * 5, runs=['none', 'failed 1', 'running', 'died', 'failed 137']
    )
    watch = cloud.run('watch.sh', '--failures=3', *COMMAND)
    assert watch.returncode == 1
    assert actions(cloud) == ['set up', 'launch', 'stop', 'launch', 'stop', 'launch']
    assert 'failure 3 of 3' in watch.stdout
    assert 'may still cost money' in watch.stdout
    assert not cloud.unanswered()


def test_one_failed_worker_restarts_all(cloud: fake_cloud.FakeCloud) -> None:
    cloud.answer(queue=['ACTIVE'] * 2, node=['READY'] * 2, runs=['running', 'finished'])
    # What two workers answer comes in one call.
    both = 'echo "llmrec-run: a running"; echo "llmrec-run: b failed 1"'
    gcloud = cloud.folder / 'gcloud'
    text = gcloud.read_text()
    once = f'if [[ ! -f $FAKE_CLOUD/asked ]]; then touch $FAKE_CLOUD/asked; {both}; exit; fi; answer runs'
    gcloud.write_text(text.replace('answer runs', once))
    (cloud.folder / 'runs').write_text('llmrec-run: a finished\nllmrec-run: b finished\n')
    watch = cloud.run('watch.sh', *COMMAND)
    assert watch.returncode == 0, watch.stdout + watch.stderr
    assert actions(cloud) == ['stop', 'launch']


@pytest.mark.parametrize('sign', ['scp', 'worker_run.sh start'])
def test_a_step_that_fails_is_tried_again_and_counted(cloud: fake_cloud.FakeCloud, sign: str) -> None:
    cloud.fail(sign, times=2)
    cloud.answer(queue=['ACTIVE'] * 3, node=['READY'] * 3, runs=['none', 'none', 'finished'])
    watch = cloud.run('watch.sh', '--failures=3', *COMMAND)
    assert watch.returncode == 0, watch.stdout + watch.stderr
    assert 'failure 2 of 3' in watch.stdout


def test_asks_on_for_a_machine_where_one_was_refused_after_a_preemption(cloud: fake_cloud.FakeCloud) -> None:
    cloud.fail('create', times=1)
    cloud.answer(
        queue=['SUSPENDED\tSERVICE', 'error:NOT_FOUND: queuedResources/llmrec', 'ACTIVE'],
        node=['READY'],
        runs=['finished'],
    )
    watch = cloud.run('watch.sh', *COMMAND)
    assert watch.returncode == 0, watch.stdout + watch.stderr
    assert actions(cloud) == ['delete', 'create', 'create']
    assert not cloud.unanswered()


def test_a_request_that_is_turned_down_again_and_again_is_given_up(cloud: fake_cloud.FakeCloud) -> None:
    cloud.answer(queue=['FAILED', 'FAILED'])
    watch = cloud.run('watch.sh', '--failures=2', *COMMAND)
    assert watch.returncode == 1
    assert actions(cloud) == ['delete', 'create']
    assert 'the request for llmrec was turned down' in watch.stdout


@pytest.mark.parametrize(
    ('settings', 'answers', 'message'),
    [
        (
            fake_cloud.SETTINGS,
            {'queue': ['error:NOT_FOUND']},
            'there is no llmrec; ask for one with tpu_scripts/create.sh',
        ),
        (
            fake_cloud.SETTINGS,
            {'queue': ['ACTIVE', 'error:NOT_FOUND'], 'node': ['READY'], 'runs': ['running']},
            'somebody deleted it',
        ),
        (fake_cloud.SETTINGS, {'queue': ['SUSPENDED\tUSER']}, 'somebody stopped llmrec'),
        (fake_cloud.SETTINGS, {'queue': ['ACTIVE'], 'node': ['STOPPED']}, 'somebody stopped llmrec'),
        (
            fake_cloud.GPU_SETTINGS,
            {'node': ['TERMINATED'], 'operations': ['stop']},
            'somebody stopped llmrec',
        ),
    ],
)
def test_what_somebody_else_ended_is_not_begun_again(
    cloud: fake_cloud.FakeCloud, settings: dict[str, str], answers: dict[str, list[str]], message: str
) -> None:
    cloud.settings(settings)
    cloud.answer(**answers)
    watch = cloud.run('watch.sh', *COMMAND)
    assert watch.returncode == 1
    assert message in watch.stdout
    assert actions(cloud) == []


def test_silence_is_waited_out_and_not_taken_for_a_preemption(cloud: fake_cloud.FakeCloud) -> None:
    cloud.answer(
        queue=['ACTIVE', *['error:the network is unreachable'] * 19, 'ACTIVE', 'ACTIVE'],
        node=['READY'] * 3,
        runs=['running', 'error:ssh: connection refused', 'finished'],
    )
    watch = cloud.run('watch.sh', *COMMAND)
    # 19 without an answer from the service and one without an answer from the worker are 20 in a row.
    assert watch.returncode == 1
    assert 'no answer for too long' in watch.stdout
    assert actions(cloud) == []


def test_an_answer_ends_the_count_of_silences(cloud: fake_cloud.FakeCloud) -> None:
    cloud.answer(
        queue=[*['error:timeout'] * 19, 'ACTIVE', *['error:timeout'] * 19, 'ACTIVE'],
        node=['READY'] * 2,
        runs=['running', 'finished'],
    )
    watch = cloud.run('watch.sh', *COMMAND)
    assert watch.returncode == 0, watch.stdout + watch.stderr
    assert actions(cloud) == []
