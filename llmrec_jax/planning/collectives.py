"""Collectives of a compiled program: what each moves, and between which devices."""

import dataclasses
import math
import re

import numpy as np

from llmrec_jax.planning.hlo_text import Instruction

KINDS = (
    'all-reduce',
    'all-gather',
    'reduce-scatter',
    'all-to-all',
    'ragged-all-to-all',
    'collective-permute',
    'collective-broadcast',
)


@dataclasses.dataclass(frozen=True)
class Collective:
    """A collective and how often it runs.

    Attributes:
      kind: one of `KINDS`.
      bytes: of the whole array that it makes or takes on one device: the result of an all-gather, the operand
        of the others.
      group: devices of one of its groups, as places in the mesh; for a permutation one source and target.
      times: runs in one run of the program.
    """

    kind: str
    bytes: int
    group: tuple[int, ...]
    times: int

    @property
    def sent_bytes(self) -> float:
        """Bytes that a device sends in one run, by the algorithm that sends least.

        With n devices: (n - 1)/n of the array, twice that for an all-reduce (a reduce-scatter and an
        all-gather); all of it for a permutation.
        """
        if self.kind in ('collective-permute', 'collective-broadcast'):
            return float(self.bytes)
        rounds = 2 if self.kind == 'all-reduce' else 1
        return rounds * self.bytes * (1 - 1 / max(len(self.group), 1))


def kind_of(instruction: Instruction) -> str | None:
    """Which collective the instruction starts; None for others, and for one's continuation or end.

    A TPU's compiler spreads a collective over several fusions, each of which repeats it; the first bears the
    flag -1.
    """
    opcode = instruction.opcode.removesuffix('-start')
    spread = re.search(r'"async_collective_fusion_config":\{"flag_start":"(-?\d+)"', instruction.attributes)
    continued = spread is not None and spread[1] != '-1'
    return opcode if opcode in KINDS and not continued else None


def read_collective(instruction: Instruction, operand_bytes: int, devices: int, times: int) -> Collective:
    """The collective that the instruction starts.

    Args:
      instruction: one with a `kind_of`.
      operand_bytes: of all its operands.
      devices: of the program.
      times: how often it runs.
    """
    kind = kind_of(instruction)
    result = sum(shape.bytes for shape in instruction.shapes)
    if instruction.opcode.endswith('-start') and kind != 'all-reduce':
        # The result of an asynchronous start holds its operands too.
        result -= operand_bytes
    size = result if kind == 'all-gather' else operand_bytes
    if kind == 'collective-permute':
        group = _first_pair(instruction.attributes)
    else:
        group = replica_groups(instruction.attributes, devices)[0]
    return Collective(kind, size, group, times)


def replica_groups(attributes: str, devices: int) -> tuple[tuple[int, ...], ...]:
    """The groups of devices that a collective's attributes name, in any of the compiler's three notations.

    `{{0,1},{2,3}}` lists them; `[2,4]<=[4,2]T(1,0)` reshapes a transposed range; `mesh['a'=4,'b'=2] {'a'}`
    names axes of a mesh, `'a':(2)2` being the part of an axis of 4 after its first 2, and `device_ids=(…)`
    after the axes the order of its devices. None named are all.

    Raises:
      ValueError: for groups in another notation.
    """
    if listed := re.search(r'replica_groups=\{(\{[\d,{} ]*\})?\}', attributes):
        groups = re.findall(r'\{([\d, ]+)\}', listed[1] or '')
        read = tuple(tuple(int(device) for device in group.split(',')) for group in groups)
        return read or (tuple(range(devices)),)
    if iota := re.search(r'replica_groups=\[([\d,]+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?', attributes):
        grouped, dims = _numbers(iota[1]), _numbers(iota[2])
        ids = np.arange(math.prod(dims)).reshape(dims)
        ids = ids.transpose(_numbers(iota[3])) if iota[3] else ids
        return tuple(map(tuple, ids.reshape(grouped[0], -1).tolist()))
    if mesh := re.search(
        r'replica_groups=mesh\[([^\]]*)\](?:, device_ids=\((.*?)\))?\s*\{([^}]*)\}', attributes
    ):
        return _mesh_groups(*mesh.groups())
    if 'replica_groups=' not in attributes:
        return (tuple(range(devices)),)
    raise ValueError(f'unknown notation of replica groups in {attributes[:200]!r}')


def _mesh_groups(axes: str, order: str | None, grouped_text: str) -> tuple[tuple[int, ...], ...]:
    sizes = {name: int(size) for name, size in re.findall(r"'([^']+)'=(\d+)", axes)}
    ids = np.arange(math.prod(sizes.values()))
    if order and (transposed := re.match(r'\[([\d,]+)\](?:T\(([\d,]+))?', order)):
        ids = ids.reshape(_numbers(transposed[1]))
        ids = ids.transpose(_numbers(transposed[2])) if transposed[2] else ids
    elif order:
        ids = np.array(_numbers(order))
    grouped: dict[str, tuple[int, int]] = {}
    for name, before, size in re.findall(r"'([^']+)'(?::\((\d+)\)(\d+))?", grouped_text):
        grouped[name] = (int(before), int(size)) if size else (1, sizes[name])
    # Every axis as (before, part, after), so that a part of an axis can be grouped on its own.
    shape = []
    for name, size in sizes.items():
        before, part = grouped.get(name, (1, 1))
        shape += [before, part, size // (before * part)]
    parts = range(1, len(shape), 3)
    kept = [axis for axis in range(len(shape)) if axis not in parts]
    width = math.prod(shape[axis] for axis in parts)
    return tuple(map(tuple, ids.reshape(shape).transpose(*kept, *parts).reshape(-1, width).tolist()))


def _first_pair(attributes: str) -> tuple[int, ...]:
    pair = re.search(r'source_target_pairs=\{\{(\d+),(\d+)\}', attributes)
    return (int(pair[1]), int(pair[2])) if pair else (0,)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(','))
