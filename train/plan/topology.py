"""Topologies that a program can be planned for: slices of TPU pods that nobody needs to have, and devices of here.

A TPU slice is a family and a shape, `v5e:16x16`, and `2*v5e:16x16` are two of them, joined by the network of the data
centre. The TPU compiler (package `libtpu`) describes their devices on any Linux machine, and compiles for them. It
accepts shapes that no pod has, so what is sold is listed here. The GPUs of one machine are a card and a number,
`h100:8` (`gpus.py`).
"""

import contextlib
import importlib.util
import math
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

import jax

from instructor_jax.sharding import Device

from .gpus import MOST, described_gpus, gpus

MOST_HERE = 512  # devices of this machine; CPU devices are made at will, each with its own threads

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
_SLICES = re.compile(r"([1-9]\d{0,2})\*(.+)")
_MOST_SLICES = 64  # of one run; compiling for more takes longer than anybody waits


def is_here(topology: str) -> bool:
    """Returns whether the name is one of devices of this machine, which JAX has to start."""
    return topology.partition(":")[0] in ("cpu", "gpu")


def devices_of(topology: str) -> list[Device]:
    """Returns the devices of a topology.

    Args:
        topology: A TPU slice such as "v5e:4x4", several of them such as "2*v5e:4x4", the GPUs of a machine such as
            "h100:8", or "cpu" or "gpu" for all such devices that JAX sees here, or "cpu:4" for the first four of them.

    Raises:
        ValueError: There is no such topology; lists those that there are.
        ImportError: The compiler for these devices is absent.
    """
    if is_here(topology):
        return _here(topology)
    slices, one = _slices(topology)
    family, _, shape = one.partition(":")
    if slices > 1 and family not in _FAMILIES:
        raise ValueError(f"no topology is called {topology!r}: only TPU slices can be several; {valid_names()}.")
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
    options: dict[str, Any] = {"chips_per_host_bounds": (1, 1, 1)} if shape == "1x1" else {}
    # both cores of a chip as one device, as JAX has them there; else it makes no mesh
    options |= {"chip_config_name": "megacore"} if family == "v4" else {}
    options |= {"num_slices": slices} if slices > 1 else {}
    try:
        with quiet_stderr():  # it looks for TPUs of this machine, and says that there are none
            return list(topologies.get_topology_desc(one, "tpu", **options).devices)
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        told = str(error).splitlines()[0]
        raise ValueError(f"the TPU compiler takes no topology {topology!r} ({told}); {valid_names()}.") from error


def _slices(topology: str) -> tuple[int, str]:
    """Returns how many slices a name stands for, and the name of one.

    Raises:
        ValueError: There are more than can be planned for, or the number is none.
    """
    found = _SLICES.fullmatch(topology)
    if found is None and "*" in topology:
        raise ValueError(f"no topology is called {topology!r}; {valid_names()}.")
    if found is None:
        return 1, topology
    if int(found.group(1)) > _MOST_SLICES:
        raise ValueError(f"topology={topology!r}: plans are made for at most {_MOST_SLICES} slices.")
    return int(found.group(1)), found.group(2)


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Sends what is written to the process's standard error nowhere while the block runs, below Python, too.

    What is told by an exception is not lost. A process without a standard error has nothing to keep quiet.
    """
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


def valid_names() -> str:
    """Returns the topologies that there are, as a sentence."""
    families = "; ".join(f"{family}: {', '.join(shapes)}" for family, (shapes, _) in _FAMILIES.items())
    cards = ", ".join(f"{name}:1 to {name}:{MOST}" for name in gpus())
    return (
        f"write FAMILY:SHAPE ({families}; larger cubes of 4), N*FAMILY:SHAPE for N slices, or GPUs of a machine "
        f"({cards}), or cpu, gpu, cpu:N, gpu:N"
    )


def _is_sold(family: str, shape: str) -> bool:
    shapes, most = _FAMILIES[family]
    if shape in shapes:
        return True
    if shapes is _FLAT or not _NAME.fullmatch(f"{family}:{shape}"):
        return False
    sides = [int(side) for side in shape.split("x")]
    return len(sides) == 3 and all(side and side % 4 == 0 for side in sides) and math.prod(sides) <= most


def devices_named(topology: str) -> int | None:
    """Returns the number of "cpu:8"; None where a name of devices of this machine has none.

    Raises:
        ValueError: It is no number, or no machine has so many.
    """
    platform, colon, count = topology.partition(":")
    if not colon:
        return None
    if not (count.isdecimal() and count.isascii() and 1 <= int(count[:9]) <= MOST_HERE):
        raise ValueError(f"topology={topology!r}: write {platform}:1 to {platform}:{MOST_HERE}, or {platform} alone.")
    return int(count)


def _here(topology: str) -> list[Device]:
    platform, _, count = topology.partition(":")
    devices_named(topology)
    try:
        devices = jax.devices(platform)
    except RuntimeError as error:
        raise ValueError(f"topology={topology!r}: JAX sees no such device here ({error}).") from error
    if not count:
        return devices
    if int(count) > len(devices):
        raise ValueError(f"topology={topology!r}: there are {len(devices)} devices; write {platform}:1 to them.")
    return devices[: int(count)]
