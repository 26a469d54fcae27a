"""The time that exchanges take if nothing hides them, on the links that each of them can use.

A chip of a torus has two links along every axis. A ring along one axis uses those two alone, and where the slice's side
is too short to close to a ring it is a line, on which half of what is sent waits for the other half. Every step from
chip to chip has its latency, however little is sent. GPUs behind a switch use all of their links.
"""

import math
from collections.abc import Iterable, Sequence

from instructor_jax.sharding import Device

from ..chips import Chip
from .collectives import Collective


def exchange_seconds(chip: Chip, devices: Sequence[Device], per_chip: int, found: Iterable[Collective]) -> float:
    """Returns the seconds of all exchanges of a call, one after another.

    Args:
        chip: Datasheet of the chip.
        devices: Devices of the mesh; those of a torus say where they lie.
        per_chip: Number of devices that share a chip.
        found: Collectives of one device.
    """
    sides = torus_sides(devices) if chip.axes else ()
    seconds = 0.0
    for one in found:
        if one.participants < 2:
            continue
        used = _used_sides(sides, one.participants)
        rate = chip.interconnect * _usable(chip, used) / per_chip
        steps = sum(side - 1 for side in used) if used else one.participants - 1
        times = 2 if one.kind == "all-reduce" else 1
        if one.kind == "collective-permute":
            steps = 1
        seconds += one.sent / rate + one.runs * (chip.start + times * steps * chip.hop)
    return seconds


def torus_sides(devices: Sequence[Device]) -> tuple[int, ...]:
    """Returns the sides of the smallest box that the chips lie in, the longest first; empty where none says where.

    Of several slices the box is that of one.
    """
    places = [tuple(place) for device in devices if (place := getattr(device, "coords", None)) is not None]
    if not places:
        return ()
    sides = [1 + max(axis) - min(axis) for axis in zip(*places, strict=True)]
    return tuple(sorted((side for side in sides if side > 1), reverse=True))


def _used_sides(sides: Sequence[int], participants: int) -> tuple[int, ...]:
    """Returns the lengths of the rings or lines of a collective: along as few axes as have enough chips."""
    used: list[int] = []
    for side in sides:
        left = -(-participants // math.prod(used))
        if left > 1:
            used.append(min(side, left))
    return tuple(used)


def _usable(chip: Chip, used: Sequence[int]) -> float:
    """Returns the share of a chip's links that a collective along such sides can use."""
    if not chip.axes or not used:
        return 1.0
    return sum(1.0 if side >= chip.ring else 0.5 for side in used) / chip.axes
