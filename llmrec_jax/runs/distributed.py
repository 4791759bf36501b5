"""Starts JAX on many hosts, from flags or from what the cluster tells."""

import argparse
import os
from collections.abc import Mapping

import jax

from llmrec_jax.runs import cluster
from llmrec_jax.runs.shutdown import LastWords
from llmrec_jax.training.processes import first_line

# A dead process is noticed after this time at the latest; a live migration of a virtual machine may take most
# of a minute.
HEARTBEAT_TIMEOUT_SECONDS = 100
# For a process that is late, because its machine is still being made ready.
INITIALIZATION_TIMEOUT_SECONDS = 600
_CHECK = 'check that all were started, that they reach that address, and that its port is free'


class DistributedError(ValueError):
    """Flags or an environment from which no run of many processes can be started; the message says why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `--coordinator_address`, `--process_count`, `--process_index` and `--distributed`."""
    group = parser.add_argument_group(
        'many hosts', 'the same command on every host; by default one process alone'
    )
    group.add_argument(
        '--distributed',
        action='store_true',
        help='what the three flags below do not say is read from Cloud TPU, Slurm, Kubernetes or Open MPI',
    )
    group.add_argument('--coordinator_address', metavar='HOST:PORT', help='of process 0, with a free port')
    group.add_argument('--process_count', type=int, metavar='N', help='processes in the run')
    group.add_argument('--process_index', type=int, metavar='I', help='this process, from 0')


def initialize(flags: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> None:
    """Joins the run that the flags describe; nothing where they describe none. Call before JAX is used.

    Args:
      flags: what `add_arguments` added, parsed.
      environment: of the process.

    Raises:
      DistributedError: when the flags are half given, contradict one another or the cluster, or the other
        processes do not come.
    """
    place = resolve(flags, environment)
    if place is None:
        return
    # JAX aborts a process that could not join.
    words = LastWords(
        f'process {place.process_index} could not join the run of {place.process_count} processes at '
        f'{place.coordinator_address} within {INITIALIZATION_TIMEOUT_SECONDS} s; {_CHECK}'
    )
    # JAX would take SIGTERM for itself and go on.
    jax.config.update('jax_enable_preemption_service', False)
    try:
        jax.distributed.initialize(
            place.coordinator_address,
            place.process_count,
            place.process_index,
            place.local_device_ids,
            initialization_timeout=INITIALIZATION_TIMEOUT_SECONDS,
            heartbeat_timeout_seconds=HEARTBEAT_TIMEOUT_SECONDS,
        )
        # All tell one another their devices, for which JAX waits only minutes: now, when all are there.
        jax.devices()
    except (ValueError, RuntimeError, OSError) as error:
        raise DistributedError(_explain(place, error)) from error
    finally:
        words.take_back()


def resolve(flags: argparse.Namespace, environment: Mapping[str, str]) -> cluster.Place | None:
    """This process's place from flags and cluster, the flags winning; None for a process alone.

    Raises:
      DistributedError: see `initialize`.
    """
    given = {
        '--coordinator_address': flags.coordinator_address,
        '--process_count': flags.process_count,
        '--process_index': flags.process_index,
    }
    missing = [name for name, value in given.items() if value is None]
    if not flags.distributed:
        if len(missing) == len(given):
            return None
        if missing:
            raise DistributedError(
                f'{" and ".join(missing)} must be given too: many hosts need all of {", ".join(given)}, or '
                '--distributed to read them from the cluster'
            )
    try:
        found = cluster.detect(environment) if flags.distributed else cluster.Place()
    except cluster.ClusterError as error:
        raise DistributedError(f'--distributed: {error}') from error
    address, count, index = (
        here if here is not None else there
        for here, there in zip(
            given.values(), (found.coordinator_address, found.process_count, found.process_index), strict=True
        )
    )
    _check(address, count, index)
    return cluster.Place(address, count, index, found.local_device_ids)


def _check(address: str | None, count: int | None, index: int | None) -> None:
    if address is not None and not address.rpartition(':')[2].isdigit():
        raise DistributedError(f'--coordinator_address={address} has no port; write {address}:1234')
    if count is not None and count < 1:
        raise DistributedError(f'--process_count={count} must be at least 1')
    if index is not None and (index < 0 or (count is not None and index >= count)):
        raise DistributedError(
            f'--process_index={index} must lie between 0 and '
            f'{"the number of processes" if count is None else count - 1}'
        )


def _explain(place: cluster.Place, error: Exception) -> str:
    if None in (place.coordinator_address, place.process_count, place.process_index) and isinstance(
        error, ValueError
    ):
        return (
            '--distributed found no cluster: neither Cloud TPU, Slurm, Kubernetes nor Open MPI tells this '
            'process its place; give --coordinator_address, --process_count and --process_index'
        )
    return (
        f'process {place.process_index} could not join the {place.process_count} processes at '
        f'{place.coordinator_address}: {first_line(error)}; {_CHECK}'
    )
