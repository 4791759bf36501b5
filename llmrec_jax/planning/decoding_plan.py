"""Plans a decoding step: what a model's program needs that answers a batch of users."""

import dataclasses

import numpy as np

from llmrec_jax.planning.collectives import Collective
from llmrec_jax.planning.compilation import OutOfMemory, ProgramMemory, compile_program, sharded_bytes
from llmrec_jax.planning.roofline import Roofline, roofline
from llmrec_jax.planning.settings import Setting
from llmrec_jax.planning.topology import Topology
from llmrec_jax.planning.workload import Workload


@dataclasses.dataclass(frozen=True)
class DecodingPlan:
    """What one run of the decoding program needs; figures are a device's unless they say otherwise.

    Attributes:
      setting: the mesh, rules and dtype it is planned under; the batch is the decoding's own.
      users: decoded at once, over all devices.
      model_flops: of the run over all devices, by formula; counted in the compiled program where there is
        none, and None where that does not compile.
      parameters: bytes of the network.
      memory: of the program, parameters among its arguments; None where it does not compile for want of it.
      out_of_memory: by how much it does not fit.
      matrix_flops: what the compiled program multiplies.
      memory_bytes: read from and written to main memory.
      collectives: of the program.
      time: the least time of a run; None where the chip's figures are not known.
    """

    setting: Setting
    users: int
    model_flops: int | None
    parameters: int
    memory: ProgramMemory | None
    out_of_memory: OutOfMemory | None
    matrix_flops: int = 0
    memory_bytes: int = 0
    collectives: tuple[Collective, ...] = ()
    time: Roofline | None = None


def check_decoding(workload: Workload, setting: Setting) -> None:
    """Checks that the users can be shared as the setting says; compiles nothing.

    Raises:
      ValueError: when they cannot, or the workload has no decoding.
    """
    decoding, (data, model) = workload.decoding, setting.mesh
    if decoding is None:
        raise ValueError('this system plans no decoding: give --only=training')
    shards = decoding.shards(setting.mesh)
    if decoding.users < 1 or decoding.users % shards:
        raise ValueError(
            f'{decoding.users} users decoded at once do not divide over the {shards} shards of mesh '
            f'{data}x{model}; give a multiple of {shards} as --decode_batch_size'
        )


def plan_decoding(workload: Workload, setting: Setting, topology: Topology) -> DecodingPlan:
    """Compiles the decoding program under `setting` and reads what it needs.

    Raises:
      ValueError: when the users do not divide over the devices, or the catalogue does not fit its layout.
    """
    check_decoding(workload, setting)
    workload = setting.apply(workload)
    decoding = workload.decoding
    mesh = workload.trainer.mesh.build(topology.devices)
    params, lowered = decoding.lower(workload.model, workload.trainer, mesh)
    model_flops = decoding.model_flops(workload.model, workload.trainer)
    outcome = compile_program(lowered, mesh.size)
    parameters = sharded_bytes(params)
    if isinstance(outcome, OutOfMemory):
        return DecodingPlan(setting, decoding.users, model_flops, parameters, None, outcome)
    costs, devices = outcome.costs, list(np.asarray(mesh.devices).flat)
    time = roofline(topology, devices, costs.matrix_flops, costs.memory_bytes, costs.collectives)
    return DecodingPlan(
        setting,
        decoding.users,
        costs.matrix_flops * mesh.size if model_flops is None else model_flops,
        parameters,
        outcome.memory,
        None,
        costs.matrix_flops,
        costs.memory_bytes,
        costs.collectives,
        time,
    )
