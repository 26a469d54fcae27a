"""Topologies that a program can be planned for: slices of TPU pods that nobody needs to have, and devices of here.

A TPU slice is a family and a shape, `v5e:16x16`. The TPU compiler (package `libtpu`) describes its devices on any Linux
machine, and compiles for them. It accepts shapes that no pod has, so what is sold is listed here. The GPUs of one
machine are a card and a number, `h100:8` (`gpus.py`).
"""

import importlib.util
import math
import re

import jax

from instructor_jax.sharding import Device

from .gpus import MOST, described_gpus, gpus

_FLAT = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
_CUBIC = ("2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8")
# family -> shapes and the largest slice, in chips (https://docs.cloud.google.com/tpu/docs, the page of each family);
# larger slices of families with three axes are whole cubes of 4 x 4 x 4
_FAMILIES: dict[str, tuple[tuple[str, ...], int]] = {
    "v4": (_CUBIC, 4096),
    "v5e": (_FLAT, 256),
    "v5p": (_CUBIC, 6144),
    "v6e": (_FLAT, 256),
    "tpu7x": (_CUBIC, 9216),
}
_NAME = re.compile(r"(\w+):(\d+(?:x\d+){1,2})")


def is_here(topology: str) -> bool:
    """Returns whether the name is one of devices of this machine, which JAX has to start."""
    return topology.partition(":")[0] in ("cpu", "gpu")


def devices_of(topology: str) -> list[Device]:
    """Returns the devices of a topology.

    Args:
        topology: A TPU slice such as "v5e:4x4", the GPUs of a machine such as "h100:8", or "cpu" or "gpu" for all such
            devices that JAX sees here, or "cpu:4" for the first four of them.

    Raises:
        ValueError: There is no such topology; lists those that there are.
        ImportError: The compiler for these devices is absent.
    """
    if is_here(topology):
        return _here(topology)
    family, _, shape = topology.partition(":")
    if family in gpus():
        if not (shape.isdecimal() and shape.isascii() and 1 <= int(shape[:9]) <= MOST):
            raise ValueError(
                f"no topology is called {topology!r}: {family}:1 to {family}:{MOST} are GPUs of a machine."
            )
        return described_gpus(family, int(shape))
    if family in _FAMILIES and not _is_sold(family, shape):
        raise ValueError(f"no topology is called {topology!r}; {valid_names()}.")
    if importlib.util.find_spec("libtpu") is None:
        raise ImportError(
            f"planning for {topology} needs the TPU compiler, which runs on any Linux machine: "
            "pip install 'instructor-jax[tpu]'"
        )
    from jax.experimental import topologies

    # one chip makes no host of 2 x 2, which is what the compiler takes for granted
    options = {"chips_per_host_bounds": (1, 1, 1)} if shape == "1x1" else {}
    try:
        return list(topologies.get_topology_desc(topology, "tpu", **options).devices)
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        told = str(error).splitlines()[0]
        raise ValueError(f"the TPU compiler takes no topology {topology!r} ({told}); {valid_names()}.") from error


def valid_names() -> str:
    """Returns the topologies that there are, as a sentence."""
    families = "; ".join(f"{family}: {', '.join(shapes)}" for family, (shapes, _) in _FAMILIES.items())
    cards = ", ".join(f"{name}:1 to {name}:{MOST}" for name in gpus())
    return (
        f"write FAMILY:SHAPE ({families}; larger cubes of 4), or GPUs of a machine ({cards}), or cpu, gpu, cpu:N, gpu:N"
    )


def _is_sold(family: str, shape: str) -> bool:
    shapes, most = _FAMILIES[family]
    if shape in shapes:
        return True
    if shapes is _FLAT or not _NAME.fullmatch(f"{family}:{shape}"):
        return False
    sides = [int(side) for side in shape.split("x")]
    return len(sides) == 3 and all(side and side % 4 == 0 for side in sides) and math.prod(sides) <= most


def _here(topology: str) -> list[Device]:
    platform, _, count = topology.partition(":")
    try:
        devices = jax.devices(platform)
    except RuntimeError as error:
        raise ValueError(f"topology={topology!r}: JAX sees no such device here ({error}).") from error
    if not count:
        return devices
    if not count.isdecimal() or not 1 <= int(count) <= len(devices):
        raise ValueError(f"topology={topology!r}: there are {len(devices)} devices; write {platform}:1 to them.")
    return devices[: int(count)]
