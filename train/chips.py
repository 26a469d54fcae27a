"""What accelerators can do at best, from their makers' datasheets: the figures that speed is measured against.

All figures are of one chip. A TPU chip may count as one device or as two (v4 and TPU7x without "megacore"), which then
share them; so whoever divides must ask the devices, not the table.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from instructor_jax.sharding import Device

_TPU = "https://docs.cloud.google.com/tpu/docs/"
# network: v5e 6.4 Tb/s for 256 chips (the page of v6e), the others per chip (the page of TPU7x)
_TPU_V4 = f"{_TPU}v4; interconnect: 6 links of 50 GB/s, Jouppi et al. 2023, arXiv 2304.01433, table 4"
_NVIDIA = "https://www.nvidia.com/en-us/data-center/"


@dataclasses.dataclass(frozen=True)
class Chip:
    """The datasheet of one chip.

    Attributes:
        name: Name that people use.
        flops: Dense bfloat16 operations a second.
        memory: Bytes a second to and from its memory (HBM).
        interconnect: Bytes a second that it can send to other chips, over all of its links together; it can receive as
            many at the same time. Datasheets that give both directions together are halved here.
        high: Factor by which a float32 product takes longer at JAX's precision HIGH; on TPUs the number of its bfloat16
            passes.
        highest: The same factor at HIGHEST; on GPUs that is the rate of ordinary float32 arithmetic.
        source: Place where the figures stand.
        axes: Number of axes of the torus that joins the chips; 0 where a switch does.
        ring: Length from which on a side of a slice closes to a ring; a shorter one is a line. 0 without a torus.
        start: Seconds from the start of a collective to its first byte.
        hop: Seconds that a collective takes for each step from chip to chip, however little it sends.
        network: Bytes a second that it can send to chips of other slices: its share of its host's network cards. 0
            where no datasheet tells.
    """

    name: str
    flops: float
    memory: float
    interconnect: float
    high: float
    highest: float
    source: str
    axes: int = 0
    ring: int = 0
    start: float = 0.0
    hop: float = 0.0
    network: float = 0.0


# Sides of 16 close on chips with two axes, cubes of 4 on those with three; a hop takes about a microsecond (Austin et
# al. 2025, How to Scale Your Model, https://jax-ml.github.io/scaling-book: TPUs; sharding).
_FLAT: dict[str, Any] = {"axes": 2, "ring": 16, "hop": 1e-6}
_CUBE: dict[str, Any] = {"axes": 3, "ring": 4, "hop": 1e-6}
# What NCCL reckons with for a ring over NVLink with the protocol for large messages (github.com/NVIDIA/nccl, tuning).
_NVLINK: dict[str, Any] = {"start": 8.4e-6, "hop": 3.4e-6}

# By the beginning of the device kind that JAX reports; longer names first.
CHIPS: dict[str, Chip] = {
    #                       chip             bf16 FLOP/s  memory B/s  send B/s  HIGH  HIGHEST
    "TPU v4": Chip("TPU v4", 275e12, 1200e9, 300e9, 3.0, 6.0, _TPU_V4, **_CUBE),
    "TPU v5 lite": Chip("TPU v5e", 197e12, 819e9, 200e9, 3.0, 6.0, f"{_TPU}v5e", **_FLAT, network=3.125e9),
    "TPU v5e": Chip("TPU v5e", 197e12, 819e9, 200e9, 3.0, 6.0, f"{_TPU}v5e", **_FLAT, network=3.125e9),
    "TPU v5": Chip("TPU v5p", 459e12, 2765e9, 600e9, 3.0, 6.0, f"{_TPU}v5p", **_CUBE, network=6.25e9),
    "TPU v6": Chip("TPU v6e", 918e12, 1638e9, 400e9, 3.0, 6.0, f"{_TPU}tpu7x", **_FLAT, network=12.5e9),
    "TPU7x": Chip("TPU7x", 2307e12, 7380e9, 600e9, 3.0, 6.0, f"{_TPU}tpu7x", **_CUBE, network=12.5e9),
    "NVIDIA A100": Chip("A100 SXM 80 GB", 312e12, 2039e9, 300e9, 2.0, 312 / 19.5, f"{_NVIDIA}a100", **_NVLINK),
    "NVIDIA H100": Chip("H100 SXM", 989e12, 3350e9, 450e9, 2.0, 989 / 67, f"{_NVIDIA}h100", **_NVLINK),
    "NVIDIA H200": Chip("H200 SXM", 989e12, 4800e9, 450e9, 2.0, 989 / 67, f"{_NVIDIA}h200", **_NVLINK),
    "NVIDIA B200": Chip("B200 SXM", 2250e12, 7700e9, 900e9, 2.0, 2250 / 80, f"{_NVIDIA}dgx-b200", **_NVLINK),
}


def chip_of(device_kind: str) -> Chip | None:
    """Returns the datasheet for a device kind as JAX reports it; None for what is not in the table, CPUs among them."""
    return next((chip for name, chip in CHIPS.items() if device_kind.startswith(name)), None)


def devices_per_chip(devices: Sequence[Device]) -> int:
    """Returns how many devices share a chip: 2 on TPUs whose cores count apart, 1 elsewhere."""
    return 1 + max(getattr(device, "core_on_chip", None) or 0 for device in devices)
