"""Plans a training step: lowers the very programs that the trainer runs, compiles them and adds them up."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from llmrec_jax.planning.collectives import Collective
from llmrec_jax.planning.compilation import (
    CompiledProgram,
    MemorySplit,
    OutOfMemory,
    compile_program,
    sharded_bytes,
    training_memory,
)
from llmrec_jax.planning.roofline import Roofline, roofline
from llmrec_jax.planning.settings import Setting
from llmrec_jax.planning.topology import Topology
from llmrec_jax.planning.workload import Workload
from llmrec_jax.training.mesh import batch_sharding
from llmrec_jax.training.step import LoweredStep, lower_step
from llmrec_jax.training.train_state import TrainState, abstract_state, moment_layout

# The padded shape that is planned, in the names of programs.
FULL = 'full'


@dataclasses.dataclass(frozen=True)
class TrainingPlan:
    """What one update under one setting needs; figures are a device's unless they say otherwise.

    Attributes:
      setting: the setting.
      model_flops: of the update over all devices, by the model's formula; counted in the compiled programs
        where it has none, and None where these do not compile.
      memory: at the fullest moment; None where a program does not compile for want of memory.
      out_of_memory: the program that could not be fitted, and by how much.
      matrix_flops: what the compiled programs multiply, recomputation included.
      memory_bytes: read from and written to main memory.
      collectives: of the update, `times` in all its programs' runs together.
      times: least time of each program's runs together; None where the chip's figures are not known.
      uncounted_loops: loops whose length the data decide, counted as `Workload.loop_runs` runs.
      kernels: calls of hand-written kernels, whose FLOPs are in the model's formula alone.
    """

    setting: Setting
    model_flops: int | None
    memory: MemorySplit | None
    out_of_memory: OutOfMemory | None
    matrix_flops: int = 0
    memory_bytes: int = 0
    collectives: tuple[Collective, ...] = ()
    times: Mapping[str, Roofline] | None = None
    uncounted_loops: int = 0
    kernels: int = 0

    @property
    def step_seconds(self) -> float | None:
        """The least time of an update, its programs one after another."""
        return sum(time.seconds for time in self.times.values()) if self.times else None

    @property
    def bound(self) -> str | None:
        """What sets the greatest part of it."""
        return max(self.times.values(), key=lambda time: time.seconds).bound if self.times else None


@dataclasses.dataclass(frozen=True)
class LoweredTraining:
    """The lowered programs of an update, how often each runs, and the state that they run on."""

    programs: Mapping[str, Any]
    runs: Mapping[str, int]
    state: TrainState
    gradients: int
    mesh: jax.sharding.Mesh


def lower_training(workload: Workload, topology: Topology) -> LoweredTraining:
    """Lowers the update for the topology's devices, every microbatch at full length.

    Raises:
      ValueError: when a parameter cannot be shared as the rules say.
    """
    trainer = workload.trainer
    mesh = trainer.mesh.build(topology.devices)
    state, features = _abstract_state(workload, mesh)
    with jax.set_mesh(mesh):
        step: LoweredStep = lower_step(
            workload.model,
            trainer.optimizer.build(),
            state,
            {FULL: features},
            trainer.logical_axis_rules,
            trainer.seed,
            trainer.dropout_bits,
            microbatches=trainer.microbatches,
            optimizer_sharding=trainer.optimizer_sharding,
        )
    programs = step.named()
    runs = {name: trainer.microbatches if name.startswith('accumulate') else 1 for name in programs}
    sums = sharded_bytes(moment_layout(state.params, trainer.optimizer_sharding))
    return LoweredTraining(programs, runs, state, sums if step.accumulate else 0, mesh)


def check_training(workload: Workload, setting: Setting, topology: Topology) -> None:
    """Checks that the state can be shared as the setting says; compiles nothing.

    Raises:
      ValueError: when it cannot, naming the setting and the parameter.
    """
    applied = setting.apply(workload)
    try:
        _abstract_state(applied, applied.trainer.mesh.build(topology.devices))
    except ValueError as error:
        mesh = f'{setting.mesh[0]}x{setting.mesh[1]}'
        raise ValueError(f'mesh {mesh} with rules {setting.rules!r}: {error}') from error


def plan_training(workload: Workload, setting: Setting, topology: Topology) -> TrainingPlan:
    """Compiles the update under `setting` and adds up what its programs need.

    Raises:
      ValueError: when a parameter cannot be shared as the setting says.
    """
    workload = setting.apply(workload)
    lowered = lower_training(workload, topology)
    model_flops = workload.train_flops()
    compiled: dict[str, CompiledProgram] = {}
    for name, program in lowered.programs.items():
        outcome = compile_program(program, lowered.mesh.size, workload.loop_runs)
        if isinstance(outcome, OutOfMemory):
            return TrainingPlan(setting, model_flops, None, outcome)
        compiled[name] = outcome
    memory = training_memory(
        {name: program.memory for name, program in compiled.items()}, lowered.state, lowered.gradients
    )
    costs = {name: program.costs for name, program in compiled.items()}
    devices = list(np.asarray(lowered.mesh.devices).flat)
    times = {
        name: roofline(topology, devices, cost.matrix_flops, cost.memory_bytes, cost.collectives)
        for name, cost in costs.items()
    }
    known = topology.chip is not None
    matrix_flops = sum(lowered.runs[name] * cost.matrix_flops for name, cost in costs.items())
    return TrainingPlan(
        setting,
        matrix_flops * lowered.mesh.size if model_flops is None else model_flops,
        memory,
        None,
        matrix_flops=matrix_flops,
        memory_bytes=sum(lowered.runs[name] * cost.memory_bytes for name, cost in costs.items()),
        collectives=tuple(
            dataclasses.replace(collective, times=collective.times * lowered.runs[name])
            for name, cost in costs.items()
            for collective in cost.collectives
        ),
        times={name: time * lowered.runs[name] for name, time in times.items()} if known else None,
        uncounted_loops=sum(cost.uncounted_loops for cost in costs.values()),
        kernels=sum(cost.kernels for cost in costs.values()),
    )


def _abstract_state(
    workload: Workload, mesh: jax.sharding.Mesh
) -> tuple[TrainState, Mapping[str, jax.ShapeDtypeStruct]]:
    """Shapes and shardings of the state and of a microbatch.

    To be called outside of `jax.set_mesh`: optax asks the optimizer for a small state of real arrays.
    """
    trainer = workload.trainer
    rules = trainer.logical_axis_rules
    placement = batch_sharding(mesh, rules)
    features = {
        name: jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=placement)
        for name, array in workload.training_features().items()
    }
    optimizer = trainer.optimizer.build()
    state = abstract_state(
        workload.model,
        optimizer,
        features,
        mesh,
        rules,
        trainer.optimizer_sharding,
        trainer.trained,
        trainer.frozen_dtype,
    )
    return state, features
