"""Memory of a compiled program on one device, and whether the device has it.

`peak_memory_in_bytes` of XLA's analysis is not used: on CPUs it is wrong, whereas arguments, results and temporaries
less what they share agree with the growth of a process to a few percent. A program that a TPU has no room for is
refused by the compiler; then its message tells what it would have taken.
"""

import dataclasses
import os
import re
from collections.abc import Sequence
from functools import lru_cache

import jax
import numpy as np

from instructor_jax.sharding import Device, MeshShape, make_mesh, named_sharding

from .gpus import memory_of_kind

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50}
_SIZE = r"([\d.]+)([KMGTP]?)"
_TOO_MUCH = 2**40  # bytes: no device has them


@dataclasses.dataclass(frozen=True)
class Memory:
    """Memory of a program on one device, in bytes.

    Attributes:
        arguments: Bytes that go in: weights, optimizer state, batch.
        results: Bytes that come out.
        shared: Bytes of results that lie where arguments were.
        temporaries: Bytes that the program needs besides.
        code: Bytes of the program itself.
        available: Bytes that programs may use; None where nobody knows.
        beside: Bytes of what lies there meanwhile and does not go in, such as the optimizer's state while a model is
            evaluated.
    """

    arguments: int
    results: int
    shared: int
    temporaries: int
    code: int
    available: int | None
    beside: int = 0

    @property
    def total(self) -> int:
        """Returns the bytes that the device must have."""
        return self.arguments + self.results - self.shared + self.temporaries + self.code + self.beside

    @property
    def fits(self) -> bool:
        """Returns whether the device has them."""
        return self.available is None or self.total <= self.available


def memory_of(compiled: jax.stages.Compiled, available: int | None) -> Memory:
    """Returns what the compiler says of a program's memory."""
    told = compiled.memory_analysis()
    if told is None:
        raise ValueError("the compiler tells nothing of this program's memory.")
    return Memory(
        arguments=told.argument_size_in_bytes,
        results=told.output_size_in_bytes,
        shared=told.alias_size_in_bytes,
        temporaries=told.temp_size_in_bytes,
        code=told.generated_code_size_in_bytes,
        available=available,
    )


def memory_of_refused(message: str, arguments: int, available: int | None) -> Memory | None:
    """Returns the memory of a program that the compiler refused for lack of it; None if that was not the reason.

    Args:
        message: Text of the error.
        arguments: Bytes of the program's arguments on one device.
        available: Bytes that the device has.
    """
    if "RESOURCE_EXHAUSTED" not in message:
        return None
    needed = re.search(rf"(?:temporaries|required)[^()]*\({_SIZE}\)|[Uu]sed {_SIZE} of", message)
    if needed is None:
        return None
    number, unit = (part for part in needed.groups() if part is not None)
    return Memory(arguments, 0, 0, _bytes(number, unit), 0, available)


def available_memory(devices: Sequence[Device]) -> int | None:
    """Returns the bytes that a program may use on each device; None where nobody knows.

    Of described TPUs the compiler knows it: it names the figure when it refuses a program that no device could run. Of
    described GPUs it is what they were described with.
    """
    first = devices[0]
    if first.platform == "cpu":
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // len(devices)
    try:
        told = first.memory_stats()
    except Exception:  # described devices have no memory that could be asked
        if first.platform == "tpu":
            return _told_by_refusal(first.device_kind, tuple(devices))
        return memory_of_kind(first.device_kind)
    return None if told is None else told.get("bytes_limit")


@lru_cache
def _told_by_refusal(kind: str, devices: tuple[Device, ...]) -> int | None:
    mesh = make_mesh(MeshShape(), devices)
    everywhere = jax.ShapeDtypeStruct((_TOO_MUCH // 2**22, 2**20), np.float32, sharding=named_sharding(mesh))
    try:
        jax.jit(lambda x: x + 1).lower(everywhere).compile()
    except jax.errors.JaxRuntimeError as error:
        available = re.search(rf"(?:HBM|hbm) \({_SIZE}\)|of {_SIZE} hbm", str(error))
        if available is not None:
            number, unit = (part for part in available.groups() if part is not None)
            return _bytes(number, unit)
    return None


def _bytes(number: str, unit: str) -> int:
    return int(float(number) * _UNITS[unit])
