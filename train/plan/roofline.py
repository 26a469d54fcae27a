"""How fast a program can be on a chip, as a range: from all at once to one after another.

At best it takes the longest of these times, none of which can be avoided: arithmetic at the matrix units' peak, memory
traffic and communication at their bandwidths, each as if the other two took no time (Williams et al. 2009, Roofline: an
insightful visual performance model), communication over all links of a chip and without latency. Several slices have a
fourth: what goes through the network between them. At the other end
nothing overlaps, and exchanges take the links that they can use, and their latency (`links.py`). Kernels that do not
reach the peak make a step longer than either, which no such model can tell.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from instructor_jax.sharding import Device

from ..chips import Chip, devices_per_chip
from .collectives import Collective
from .costs import Costs
from .links import exchange_seconds


class Work(NamedTuple):
    """What a call of a program is for, on all devices together.

    Attributes:
        tokens: Number of positions that are computed, padding included.
        useful: Operations that the result needs: nothing computed twice, no padding.
    """

    tokens: int
    useful: float


@dataclasses.dataclass(frozen=True)
class Roofline:
    """Least times of one call of a program, in seconds.

    Attributes:
        arithmetic: Time of its matrix products.
        memory: Time of its traffic with main memory.
        interconnect: Time of what it sends to other devices, over all links of the chip at once.
        exchange: Time of the same over the links that each exchange can use, with latency.
        tokens: Number of positions that all devices compute in a call, padding included.
        useful: Operations of all devices that the result needs: nothing computed twice, no padding.
        peak: Operations a second of all devices together.
        network: Time of what it sends to other slices; 0 on one slice.
    """

    arithmetic: float
    memory: float
    interconnect: float
    exchange: float
    tokens: int
    useful: float
    peak: float
    network: float = 0.0

    @property
    def bound(self) -> float:
        """Returns the least time of a call, if arithmetic, memory and both networks all work at the same time."""
        return max(self.arithmetic, self.memory, self.interconnect, self.network)

    @property
    def one_by_one(self) -> float:
        """Returns the time of a call if they never do, and exchanges take their links and latency."""
        return self.arithmetic + self.memory + self.exchange + self.network

    @property
    def limited_by(self) -> str:
        """Returns which of the four takes the longest."""
        return max(("arithmetic", "memory", "interconnect", "network"), key=lambda name: getattr(self, name))

    @property
    def mfu(self) -> float:
        """Returns the fraction of the peak that useful operations can reach at most, 0 to 1."""
        return self.useful / (self.peak * self.bound) if self.bound else 0.0

    @property
    def mfu_one_by_one(self) -> float:
        """Returns the same fraction if nothing overlaps, 0 to 1."""
        return self.useful / (self.peak * self.one_by_one) if self.one_by_one else 0.0

    @property
    def tokens_per_second(self) -> float:
        """Returns the largest possible number of tokens a second of all devices, padding included."""
        return self.tokens / self.bound if self.bound else 0.0


def roofline(
    chip: Chip,
    devices: Sequence[Device],
    costs: Costs,
    exchanged: Sequence[Collective],
    work: Work,
) -> Roofline | None:
    """Returns the times of a program; None where it sends to other slices and no datasheet tells how fast.

    Args:
        chip: Datasheet of the chip.
        devices: Devices of the mesh.
        costs: Costs of one device.
        exchanged: Collectives of one device.
        work: Work of a call, on all devices.
    """
    per_chip = devices_per_chip(devices)
    slower = {"default": 1.0, "high": chip.high, "highest": chip.highest}
    near = [one for one in exchanged if one.slices == 1]
    far = sum(one.sent for one in exchanged if one.slices > 1)
    if far and not chip.network:
        return None
    operations = sum(slower[precision] * flops for precision, flops in costs.flops.items())
    return Roofline(
        arithmetic=operations * per_chip / chip.flops,
        memory=costs.traffic * per_chip / chip.memory,
        interconnect=sum(one.sent for one in near) * per_chip / chip.interconnect,
        exchange=exchange_seconds(chip, devices, per_chip, near),
        tokens=work.tokens,
        useful=work.useful,
        peak=chip.flops * len(devices) / per_chip,
        network=far * per_chip / chip.network if far else 0.0,
    )
