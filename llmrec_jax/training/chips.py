"""What the chips can do, by their makers' published figures.

Google's, per chip (peak bf16 compute, HBM bandwidth, bidirectional inter-chip bandwidth, slice shapes):

- v4: https://cloud.google.com/tpu/docs/v4, and for its 2,400 Gbps a direction the table of
  https://cloud.google.com/tpu/docs/v5p
- v5e: https://cloud.google.com/tpu/docs/v5e
- v5p: https://cloud.google.com/tpu/docs/v5p
- v6e: https://cloud.google.com/tpu/docs/v6e
- tpu7x: https://cloud.google.com/tpu/docs/tpu7x

`usable_bytes` is what the TPU compiler (libtpu 0.0.42) says a program may use of a device's memory.
NVIDIA's, per GPU (dense bf16, memory, NVLink both ways together), for `--topology=here`:
https://www.nvidia.com/en-us/data-center/a100, …/h100, …/h200
"""

import dataclasses

GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Chip:
    """One kind of chip; all figures are a device's, as JAX counts devices.

    Attributes:
      name: as in the name of a topology.
      device_kinds: what JAX calls its devices.
      peak_flops: bf16, FLOP/s.
      memory_bandwidth: bytes/s.
      usable_bytes: of main memory, what a program may use.
      link_bandwidth: bytes/s of one link, one way; for a GPU, of all its links together.
      axes: dimensions of the interconnect; 0 for a switched one.
      devices_per_chip: devices that JAX sees of one chip.
      shapes: slice shapes on offer, in chips; larger three-dimensional ones are multiples of 4 each way.
      chip_config: libtpu's name of the configuration in which a device is what JAX sees of it.
    """

    name: str
    device_kinds: tuple[str, ...]
    peak_flops: float
    memory_bandwidth: float
    usable_bytes: int
    link_bandwidth: float
    axes: int
    devices_per_chip: int = 1
    shapes: tuple[tuple[int, ...], ...] = ()
    chip_config: str | None = None

    def torus_axes(self, shape: tuple[int, ...]) -> tuple[bool, ...]:
        """Which axes of a slice are closed to rings.

        Slices of v5e and v6e are closed where an axis has the pod's 16 chips; the others' where the slice is
        made of whole cubes of 4 x 4 x 4.
        """
        if self.axes == 2:
            return tuple(size == 16 for size in shape)
        return tuple(all(size % 4 == 0 for size in shape) for _ in shape)


_FLAT = ((1, 1), (2, 2), (2, 4), (4, 4), (4, 8), (8, 8), (8, 16), (16, 16))
_CUBES = (
    *((2, 2, 1), (2, 2, 2), (2, 2, 4), (2, 4, 4), (4, 4, 4), (4, 4, 8)),
    *((4, 8, 8), (8, 8, 8), (8, 8, 16), (8, 16, 16), (16, 16, 16)),
)

TPUS = {
    chip.name: chip
    for chip in (
        Chip('v4', ('TPU v4',), 275e12, 1200e9, int(30.75 * GIB), 50e9, 3, 1, _CUBES, 'megacore'),
        Chip('v5e', ('TPU v5 lite', 'TPU v5e'), 197e12, 819e9, int(15.75 * GIB), 50e9, 2, 1, _FLAT),
        Chip('v5p', ('TPU v5', 'TPU v5p'), 459e12, 2765e9, int(95.74 * GIB), 100e9, 3, 1, _CUBES),
        Chip('v6e', ('TPU v6 lite', 'TPU v6e'), 918e12, 1638e9, int(31.25 * GIB), 100e9, 2, 1, _FLAT),
        # One chip is two devices, which share its links.
        Chip('tpu7x', ('TPU7x', 'TPU v7x'), 1153.5e12, 3690e9, int(94.75 * GIB), 50e9, 3, 2, _CUBES),
    )
}
GPUS = (
    Chip('A100', ('NVIDIA A100-SXM4-80GB',), 312e12, 2039e9, 80 * 10**9, 300e9, 0),
    Chip('H100', ('NVIDIA H100 80GB HBM3',), 989e12, 3350e9, 80 * 10**9, 450e9, 0),
    Chip('H200', ('NVIDIA H200',), 989e12, 4800e9, 141 * 10**9, 450e9, 0),
)


def chip_of(device_kind: str) -> Chip | None:
    """The chip that JAX calls so; None for one without an entry here, such as a processor."""
    return next((chip for chip in (*TPUS.values(), *GPUS) if device_kind in chip.device_kinds), None)
