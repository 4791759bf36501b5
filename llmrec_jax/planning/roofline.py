"""The least time that a program can take: the slowest of its arithmetic, its memory and its links.

Each resource's time is its work over its peak, and the three are taken to overlap in full (Williams et al.,
2009). A real step is slower; how much, only the chip tells.

A collective's time is what a chip must send over what its links carry. Rings run along the axes of the slice
that the group spans, both ways where an axis is closed to a ring ("How to Scale Your Model", Austin et al.,
2025, part 3): https://jax-ml.github.io/scaling-book/sharding
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from llmrec_jax.planning.collectives import Collective
from llmrec_jax.planning.topology import Topology

ARITHMETIC, MEMORY, LINKS = 'compute', 'memory', 'network'


@dataclasses.dataclass(frozen=True)
class Roofline:
    """Seconds that each resource needs for one run of a program.

    Attributes:
      compute: of the matrix units.
      memory: of main memory.
      network: of the links between chips.
    """

    compute: float
    memory: float
    network: float

    @property
    def seconds(self) -> float:
        """The least time of a run."""
        return max(self.compute, self.memory, self.network)

    @property
    def bound(self) -> str:
        """Which resource sets it."""
        times = {ARITHMETIC: self.compute, MEMORY: self.memory, LINKS: self.network}
        return max(times, key=times.__getitem__)

    def __add__(self, other: 'Roofline') -> 'Roofline':
        return Roofline(
            self.compute + other.compute, self.memory + other.memory, self.network + other.network
        )

    def __mul__(self, times: int) -> 'Roofline':
        return Roofline(self.compute * times, self.memory * times, self.network * times)


def roofline(
    topology: Topology,
    mesh_devices: Sequence[Any],
    matrix_flops: int,
    memory_bytes: int,
    collectives: Iterable[Collective],
) -> Roofline | None:
    """The roofline of one run; None where the chip's figures are not known.

    Args:
      topology: the devices.
      mesh_devices: the devices in the order of the mesh, by which collectives name them.
      matrix_flops: a device's.
      memory_bytes: a device's.
      collectives: of the program.
    """
    chip = topology.chip
    if chip is None:
        return None
    network = 0.0
    for collective in collectives:
        if collective.sent_bytes:
            bandwidth = group_bandwidth(topology, mesh_devices, collective)
            network += collective.times * collective.sent_bytes / bandwidth
    return Roofline(matrix_flops / chip.peak_flops, memory_bytes / chip.memory_bandwidth, network)


def group_bandwidth(topology: Topology, mesh_devices: Sequence[Any], collective: Collective) -> float:
    """Bytes/s that a device can send within the collective's group."""
    chip = topology.chip
    places = [topology.coordinates(mesh_devices[index]) for index in collective.group]
    if chip.axes == 0 or None in places:
        return chip.link_bandwidth
    spanned = [axis for axis in range(len(topology.shape)) if len({place[axis] for place in places}) > 1]
    if collective.kind in ('collective-permute', 'collective-broadcast') or not spanned:
        return chip.link_bandwidth
    closed = chip.torus_axes(topology.shape)
    return chip.link_bandwidth * sum(2 if closed[axis] else 1 for axis in spanned)
