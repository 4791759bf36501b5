"""What Slurm and Kubernetes tell a process about its place in a run, read from its environment.

JAX detects Cloud TPU, GKE and Open MPI. Here is what it leaves out or does otherwise: under Slurm it gives
every process one device, though a node may run one process for all its devices; under Kubernetes it needs a
client package and the right to read pods.
"""

import dataclasses
import re
from collections.abc import Mapping

EPHEMERAL_PORTS = 61440
SPREAD = 4096


class ClusterError(ValueError):
    """An environment that contradicts itself or lacks a variable; the message names it."""


@dataclasses.dataclass(frozen=True)
class Place:
    """A process's place in a run; what is None is not known.

    Attributes:
      coordinator_address: host:port of process 0.
      process_count: processes in the run.
      process_index: this one, from 0.
      local_device_ids: devices of this machine that are this process's; None for all.
    """

    coordinator_address: str | None = None
    process_count: int | None = None
    process_index: int | None = None
    local_device_ids: tuple[int, ...] | None = None


def detect(environment: Mapping[str, str]) -> Place:
    """What `environment` says; all None where it is of no cluster known here.

    Raises:
      ClusterError: when it is of one, but incomplete.
    """
    for read in (slurm, kubernetes):
        place = read(environment)
        if place is not None:
            return place
    return Place()


def slurm(environment: Mapping[str, str]) -> Place | None:
    """The place of a task of `srun`; None outside Slurm.

    A node that runs one task gives it all its devices; one that runs several gives each the device of its own
    number, unless Slurm has already bound one to it.

    Raises:
      ClusterError: inside an allocation, but not started by `srun`.
    """
    if 'SLURM_JOB_ID' not in environment:
        return None
    if 'SLURM_STEP_NODELIST' not in environment:
        raise ClusterError(
            f'this is Slurm job {environment["SLURM_JOB_ID"]}, but the process was not started by srun; '
            'put srun before the command'
        )
    count, index, local, job = (
        _integer(environment, name)
        for name in ('SLURM_NTASKS', 'SLURM_PROCID', 'SLURM_LOCALID', 'SLURM_JOB_ID')
    )
    # Steps of one job may run at once on the same nodes.
    port = EPHEMERAL_PORTS + (job + int(environment.get('SLURM_STEP_ID', 0))) % SPREAD
    bound = [one for one in environment.get('CUDA_VISIBLE_DEVICES', '').split(',') if one]
    alone = count <= _integer(environment, 'SLURM_STEP_NUM_NODES') or len(bound) == 1
    return Place(
        f'{first_host(environment["SLURM_STEP_NODELIST"])}:{port}', count, index, None if alone else (local,)
    )


def kubernetes(environment: Mapping[str, str]) -> Place | None:
    """The place of a pod of a Kubeflow JAX job, or just the index of one of an indexed Job; None elsewhere.

    Raises:
      ClusterError: when a Kubeflow variable is missing or is no number.
    """
    if 'KUBERNETES_SERVICE_HOST' not in environment or 'TPU_WORKER_HOSTNAMES' in environment:
        return None
    if 'COORDINATOR_ADDRESS' in environment:
        address = environment['COORDINATOR_ADDRESS']
        if ':' not in address:
            address = f'{address}:{_integer(environment, "COORDINATOR_PORT")}'
        return Place(address, _integer(environment, 'NUM_PROCESSES'), _integer(environment, 'PROCESS_ID'))
    if 'JOB_COMPLETION_INDEX' in environment:
        return Place(process_index=_integer(environment, 'JOB_COMPLETION_INDEX'))
    return None


def first_host(nodes: str) -> str:
    """The first of Slurm's compressed list of hosts: 'tpu[003-007,9],gpu1' gives 'tpu003'."""
    found = re.match(r'([^,\[]+)(?:\[([^\],-]+))?', nodes)
    if not found:
        raise ClusterError(f'SLURM_STEP_NODELIST={nodes!r} names no host')
    return found[1] + (found[2] or '')


def _integer(environment: Mapping[str, str], name: str) -> int:
    value = environment.get(name, '')
    if not value.isdigit():
        raise ClusterError(f'the environment variable {name} must be a number, and is {value!r}')
    return int(value)
