"""What one run of a compiled program costs a device, the bodies of loops counted as often as they run.

`cost_analysis` of a compiled program counts a loop's body once, and with scanned layers that is one layer.
A TPU's compiler writes matrix multiplications as convolutions; both are counted.
"""

import dataclasses
import functools
import re
from collections.abc import Iterator

import numpy as np

from llmrec_jax.planning.collectives import Collective, kind_of, read_collective
from llmrec_jax.planning.hlo_text import ArrayShape, Computation, Instruction, Module, trip_count


def dot_flops(instruction: Instruction, lhs: ArrayShape) -> int:
    """FLOPs of a `dot`: two for each element of the result and each contracted element."""
    contracted = re.search(r'lhs_contracting_dims=\{([\d,]*)\}', instruction.attributes)
    axes = [int(axis) for axis in contracted[1].split(',') if axis] if contracted else []
    depth = int(np.prod([lhs.dims[axis] for axis in axes], dtype=np.int64))
    return 2 * instruction.shapes[0].elements * depth


def convolution_flops(instruction: Instruction, lhs: ArrayShape, rhs: ArrayShape) -> int:
    """FLOPs of a `convolution`, products with padding or between dilated elements left out.

    A TPU's compiler makes the batch of a batched matrix product a spatial dimension of which a window meets
    one element; counting the window's size instead would multiply the work by the batch.
    """
    labels = instruction.attribute('dim_labels')
    lhs_labels, rhs_labels, out_labels = re.fullmatch(r'(\w+)_(\w+)->(\w+)', labels).groups()
    result = instruction.shapes[0]
    work = result.dims[out_labels.index('b')] * result.dims[out_labels.index('f')]
    work *= rhs.dims[rhs_labels.index('i')]
    spatial = sum(label.isdigit() for label in lhs_labels)
    window = _window(instruction.attributes, spatial)
    for axis in range(spatial):
        label = str(axis)
        work *= meeting_positions(
            result.dims[out_labels.index(label)],
            rhs.dims[rhs_labels.index(label)],
            lhs.dims[lhs_labels.index(label)],
            *(window[part][axis] for part in ('stride', 'pad', 'lhs_dilate', 'rhs_dilate')),
        )
    return 2 * work


@functools.lru_cache(maxsize=1024)
def meeting_positions(
    outputs: int, window: int, inputs: int, stride: int, pad: int, lhs_dilate: int, rhs_dilate: int
) -> int:
    """In one dimension, how many pairs of output and window position meet an element of the input."""
    positions = np.arange(outputs)[:, None] * stride + np.arange(window)[None, :] * rhs_dilate - pad
    inside = (positions >= 0) & (positions <= (inputs - 1) * lhs_dilate)
    return int((inside & (positions % lhs_dilate == 0)).sum())


def _window(attributes: str, spatial: int) -> dict[str, list[int]]:
    """Stride, low padding and dilations of each spatial dimension."""
    found = re.search(r'window=\{([^}]*)\}', attributes)
    fields = dict(part.split('=') for part in found[1].split()) if found else {}
    parts = {'stride': 1, 'pad': 0, 'lhs_dilate': 1, 'rhs_dilate': 1}
    return {
        part: [int(size.split('_')[0]) for size in fields[part].split('x')]
        if part in fields
        else [default] * spatial
        for part, default in parts.items()
    }


# What moves no data, or names the end of what began elsewhere.
FREE = (
    'parameter',
    'constant',
    'tuple',
    'get-tuple-element',
    'bitcast',
    'after-all',
    'partition-id',
    'replica-id',
    'opt-barrier',
    'add-dependency',
)
FREE_CUSTOM_CALLS = ('AllocateBuffer', 'ConcatBitcast', 'AssumeGatherIndicesInBound', 'Sharding')
# A TPU with cores for collectives calls them asynchronously.
CALLS = ('call', 'call-start')
SLICES = ('dynamic-slice', 'slice', 'gather')


@dataclasses.dataclass(frozen=True)
class ProgramCosts:
    """Costs of one run on one device.

    Attributes:
      matrix_flops: of matrix multiplications and convolutions, what is recomputed included.
      memory_bytes: read from and written to main memory, as far as instruction boundaries show it.
      collectives: all communication.
      uncounted_loops: loops whose number of runs the text does not tell.
      kernels: calls of hand-written kernels, whose FLOPs the text does not tell.
    """

    matrix_flops: int
    memory_bytes: int
    collectives: tuple[Collective, ...]
    uncounted_loops: int
    kernels: int


def program_costs(module: Module, devices: int, loop_runs: int = 1) -> ProgramCosts:
    """Reads the costs off a program that was compiled for so many devices.

    Args:
      module: the program.
      devices: number of them.
      loop_runs: how often a loop runs where the text does not tell.
    """
    flops = memory = uncounted = kernels = 0
    collectives = []
    for computation, instruction, times, fused in _executed(module, loop_runs):
        shapes = _operand_shapes(computation, instruction)
        if instruction.opcode == 'dot':
            flops += times * dot_flops(instruction, shapes[0])
        elif instruction.opcode == 'convolution':
            flops += times * convolution_flops(instruction, *shapes[:2])
        elif kind_of(instruction):
            size = sum(shape.bytes for shape in shapes)
            collectives.append(read_collective(instruction, size, devices, times))
        elif (
            instruction.opcode == 'custom-call'
            and 'custom_call_target="tpu_custom_call"' in instruction.attributes
        ):
            kernels += times
        elif instruction.opcode == 'while' and trip_count(module, computation, instruction) is None:
            uncounted += 1
        if not fused:
            memory += times * _memory_bytes(module, computation, instruction)
    return ProgramCosts(flops, memory, tuple(collectives), uncounted, kernels)


def _executed(module: Module, loop_runs: int) -> Iterator[tuple[Computation, Instruction, int, bool]]:
    """Every instruction that runs, how often, and whether it is part of a fusion."""
    pending = [(module.entry, 1, False)]
    while pending:
        name, times, fused = pending.pop()
        computation = module.computations[name]
        for instruction in computation.instructions.values():
            yield computation, instruction, times, fused
            opcode = instruction.opcode
            if opcode == 'while':
                known = trip_count(module, computation, instruction)
                runs = times * (loop_runs if known is None else max(known, 1))
                pending += [(body, runs, fused) for body in instruction.called('body')]
            elif opcode == 'conditional':
                pending += [(branch, times, fused) for branch in _costliest_branch(instruction)]
            elif opcode in CALLS:
                pending += [(callee, times, fused) for callee in instruction.called('to_apply')]
            else:
                inner = fused or opcode == 'fusion'
                pending += [(callee, times, inner) for callee in instruction.called('calls')]


def _costliest_branch(conditional: Instruction) -> tuple[str, ...]:
    """One branch runs; without running it nothing tells which, so the first stands for all."""
    branches = conditional.called('branch_computations') or conditional.called('true_computation')
    return branches[:1]


def _operand_shapes(computation: Computation, instruction: Instruction) -> list[ArrayShape]:
    read = (
        computation.instructions[name] for name in instruction.operands if name in computation.instructions
    )
    return [shape for operand in read for shape in operand.shapes]


def _memory_bytes(module: Module, computation: Computation, instruction: Instruction) -> int:
    """Main memory that one instruction outside of fusions reads and writes."""
    opcode = instruction.opcode
    if opcode in FREE or opcode.endswith('-done') or opcode in ('while', 'conditional', *CALLS):
        return 0
    if opcode == 'custom-call' and any(target in instruction.attributes for target in FREE_CUSTOM_CALLS):
        return 0
    results = instruction.shapes
    if opcode == 'fusion':
        fused = module.computations[instruction.called('calls')[0]]
        read = sum(
            min(_read_bytes(module, fused, parameter.name), _main_memory(computation, operand))
            for parameter, operand in zip(fused.parameters, instruction.operands)
        )
        in_main_memory = sum(shape.main_memory_bytes for shape in results)
        return read + min(_written_bytes(module, fused, fused.root), in_main_memory)
    if opcode.removesuffix('-start') in SLICES:
        source = _main_memory(computation, instruction.operands[0])
        return min(source, results[0].bytes) + results[0].main_memory_bytes
    if opcode == 'dynamic-update-slice':
        update = computation.instructions[instruction.operands[1]].shapes[0].bytes
        return _main_memory(computation, instruction.operands[1]) + min(update, results[0].main_memory_bytes)
    # The result of an asynchronous start is (operands …, results …, state): what it writes comes second.
    written = results[1:2] if opcode.endswith('-start') and opcode != 'copy-start' else results
    written = results[:1] if opcode == 'copy-start' else written
    read = sum(_main_memory(computation, operand) for operand in instruction.operands)
    return read + sum(shape.main_memory_bytes for shape in written)


def _main_memory(computation: Computation, name: str) -> int:
    instruction = computation.instructions.get(name)
    return sum(shape.main_memory_bytes for shape in instruction.shapes) if instruction else 0


def _read_bytes(module: Module, fused: Computation, name: str) -> int:
    """Bytes that a fusion reads of an operand: of a sliced array the slice, of an updated one nothing."""
    whole = sum(shape.bytes for shape in fused.instructions[name].shapes)
    read = 0
    for user in fused.users[name]:
        if user.opcode in SLICES and user.operands[0] == name:
            read += user.shapes[0].bytes
        elif user.opcode == 'dynamic-update-slice' and user.operands[0] == name:
            continue
        elif user.opcode in ('bitcast', 'tuple'):
            read += _read_bytes(module, fused, user.name) if user.opcode == 'bitcast' else 0
        elif user.opcode == 'fusion':
            inner = module.computations[user.called('calls')[0]]
            places = [place for place, operand in enumerate(user.operands) if operand == name]
            read += sum(_read_bytes(module, inner, inner.parameters[place].name) for place in places)
        else:
            return whole
    return min(read, whole)


def _written_bytes(module: Module, fused: Computation, name: str) -> int:
    """Bytes of a fusion's result that it writes: of an updated array the update alone."""
    instruction = fused.instructions[name]
    written = functools.partial(_written_bytes, module)
    if instruction.opcode == 'tuple':
        return sum(written(fused, operand) for operand in instruction.operands)
    if instruction.opcode == 'bitcast':
        return written(fused, instruction.operands[0])
    if instruction.opcode == 'dynamic-update-slice':
        return sum(shape.bytes for shape in fused.instructions[instruction.operands[1]].shapes)
    if instruction.opcode == 'fusion':
        inner = module.computations[instruction.called('calls')[0]]
        return written(inner, inner.root)
    if instruction.opcode == 'parameter':
        return 0
    return sum(shape.bytes for shape in instruction.shapes)
