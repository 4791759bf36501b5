"""A process's place in a run of many, from flags and from the cluster."""

import argparse

import pytest

from llmrec_jax.runs import distributed
from llmrec_jax.runs.cluster import Place, first_host


def place(*flags, **environment):
    parser = argparse.ArgumentParser()
    distributed.add_arguments(parser)
    return distributed.resolve(parser.parse_args(flags), environment)


SLURM = {
    'SLURM_JOB_ID': '4100',
    'SLURM_STEP_ID': '2',
    'SLURM_STEP_NODELIST': 'gpu[007-010,12]',
    'SLURM_STEP_NUM_NODES': '4',
    'SLURM_NTASKS': '4',
    'SLURM_PROCID': '3',
    'SLURM_LOCALID': '0',
}
KUBERNETES = {'KUBERNETES_SERVICE_HOST': '10.0.0.1'}


def test_no_flags_mean_one_process():
    assert place() is None
    assert place(**SLURM) is None


def test_flags_are_taken_as_they_are():
    flags = ('--coordinator_address=host:12', '--process_count=4', '--process_index=3')
    assert place(*flags) == Place('host:12', 4, 3)


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (('--process_count=2',), '--coordinator_address and --process_index must be given too'),
        (('--coordinator_address=a:1', '--process_count=2'), '--process_index must be given too'),
        (
            ('--coordinator_address=a', '--process_count=2', '--process_index=0'),
            'has no port; write a:1234',
        ),
        (
            ('--coordinator_address=a:1', '--process_count=2', '--process_index=2'),
            '--process_index=2 must lie between 0 and 1',
        ),
        (
            ('--coordinator_address=a:1', '--process_count=0', '--process_index=0'),
            '--process_count=0 must be at least 1',
        ),
    ],
)
def test_half_given_or_impossible_flags_are_named(flags, message):
    with pytest.raises(distributed.DistributedError, match=message):
        place(*flags)


def test_slurm_gives_a_task_alone_on_its_node_all_devices():
    assert place('--distributed', **SLURM) == Place('gpu007:61446', 4, 3)


def test_slurm_gives_tasks_that_share_a_node_a_device_each_unless_it_bound_one_already():
    shared = {**SLURM, 'SLURM_NTASKS': '32', 'SLURM_LOCALID': '5'}
    assert place('--distributed', **shared).local_device_ids == (5,)
    assert place('--distributed', **shared, CUDA_VISIBLE_DEVICES='5').local_device_ids is None


def test_a_slurm_job_without_srun_is_told_so():
    with pytest.raises(distributed.DistributedError, match='put srun before the command'):
        place('--distributed', SLURM_JOB_ID='1')


@pytest.mark.parametrize(
    ('nodes', 'host'), [('a1', 'a1'), ('a1,b2', 'a1'), ('a[003-7],b', 'a003'), ('a[3,5]', 'a3')]
)
def test_the_first_host_of_slurms_list(nodes, host):
    assert first_host(nodes) == host


def test_kubeflow_says_all_and_an_indexed_job_the_index():
    kubeflow = {'COORDINATOR_ADDRESS': 'job-worker-0', 'COORDINATOR_PORT': '6666'}
    kubeflow |= {'NUM_PROCESSES': '3', 'PROCESS_ID': '1'}
    assert place('--distributed', **KUBERNETES, **kubeflow) == Place('job-worker-0:6666', 3, 1)
    flags = ('--distributed', '--coordinator_address=job-0.job:1234', '--process_count=4')
    assert place(*flags, **KUBERNETES, JOB_COMPLETION_INDEX='2') == Place('job-0.job:1234', 4, 2)


def test_a_variable_that_is_no_number_is_named():
    with pytest.raises(distributed.DistributedError, match="SLURM_PROCID must be a number, and is 'x'"):
        place('--distributed', **{**SLURM, 'SLURM_PROCID': 'x'})
