"""Arithmetic and memory traffic of a compiled program on one device, loops counted as often as they run.

Only matrix products count as arithmetic: they are what the peak of a chip is about. Traffic is what kernels read from
and write to main memory; what stays in on-chip memory between two kernels is free. Both are counts, not simulations.
"""

import dataclasses
import math
import re
from typing import NamedTuple

from .hlo import HloProgram
from .instruction import Instruction, Shape

# what moves nothing by itself
_FREE = frozenset(
    (  # noqa: SIM905
        "parameter constant tuple get-tuple-element bitcast while conditional call after-all partition-id replica-id "
        "copy-done add-dependency opt-barrier domain"
    ).split()
)


@dataclasses.dataclass(frozen=True)
class Costs:
    """Costs of one call of a program on one device.

    Attributes:
        flops: Operations of matrix products, a multiplication and an addition being two, by the precision asked for:
            `default`, and for float32 operands also `high` and `highest`.
        traffic: Bytes read from and written to main memory.
        opaque: Kernels that do not tell their arithmetic, by target; their products are not in `flops`.
    """

    flops: dict[str, float]
    traffic: float
    opaque: dict[str, int]

    @property
    def all_flops(self) -> float:
        """Returns the operations of all precisions."""
        return sum(self.flops.values())


def costs(program: HloProgram) -> Costs:
    """Counts a program's operations and bytes."""
    flops, traffic = {"default": 0.0, "high": 0.0, "highest": 0.0}, 0.0
    opaque: dict[str, int] = {}
    for runs, instructions, instruction in program.executed(fused=True):
        own = product_flops(instruction, instructions)
        if own is None:
            target = re.search(r'custom_call_target="([^"]*)"', instruction.rest)
            name = target.group(1) if target else ""
            opaque[name] = opaque.get(name, 0) + runs
        flops[_precision(instruction, instructions)] += runs * (own or 0.0)
    for runs, instructions, instruction in program.executed():
        traffic += runs * _moved(program, instructions, instruction)
    return Costs(flops, traffic, opaque)


def product_flops(instruction: Instruction, instructions: dict[str, Instruction]) -> float | None:
    """Returns the operations of a matrix product; 0 for everything else, None for a kernel that does not tell."""
    if instruction.opcode == "custom-call":
        return _kernel_flops(instruction, instructions)
    if instruction.opcode not in ("dot", "convolution"):
        return 0.0
    first, second = (instructions[name].shapes[0] for name in instruction.operands[:2])
    if instruction.opcode == "dot":
        summed = _numbers(r"lhs_contracting_dims=\{([\d,]*)\}", instruction.rest)
        return 2.0 * instruction.shapes[0].elements * math.prod(first.dims[axis] for axis in summed)
    return _convolution_flops(instruction, first, second)


def _precision(instruction: Instruction, instructions: dict[str, Instruction]) -> str:
    asked = re.search(r"operand_precision=\{(\w+)", instruction.rest)
    if asked is None or asked.group(1) not in ("high", "highest"):
        return "default"
    operand = instructions[instruction.operands[0]].shapes[0]
    return asked.group(1) if operand.dtype == "f32" else "default"


_UNTOLD = ("tpu_custom_call", "__gpu$xla", "__cudnn$fmha")  # kernels that do arithmetic and do not say how much


def _kernel_flops(instruction: Instruction, instructions: dict[str, Instruction]) -> float | None:
    """Returns the operations of a foreign kernel: by its own estimate (Pallas), or as the library call it makes."""
    told = re.search(r'"cost_estimate":\{[^}]*"flops":"?(\d+)', instruction.rest)
    if told:
        return float(told.group(1))
    summed = re.search(r'"lhs_contracting_dimensions":\[([^\]]*)\]', instruction.rest)
    if summed:
        first = instructions[instruction.operands[0]].shapes[0]
        axes = [int(axis) for axis in re.findall(r"\d+", summed.group(1))]
        return 2.0 * instruction.shapes[0].elements * math.prod(first.dims[axis] for axis in axes)
    return None if any(kernel in instruction.rest for kernel in _UNTOLD) else 0.0


def _convolution_flops(instruction: Instruction, image: Shape, kernel: Shape) -> float:
    """Returns the operations of a product that TPUs write as a convolution, with batch axes as windows.

    So each spatial axis counts the pairs of places in image and kernel that meet, not the size of its window.
    """
    labels = re.search(r"dim_labels=(\w+)_(\w+)->(\w+)", instruction.rest)
    assert labels is not None
    sides, output = (labels.group(1), labels.group(2)), labels.group(3)
    result = instruction.shapes[0]
    operations = 2.0 * kernel.dims[sides[1].index("i")]
    for letter in ("b", "f"):
        operations *= result.dims[output.index(letter)]
    window = re.search(r"window=\{([^}]*)\}", instruction.rest)
    fields = dict(field.split("=") for field in window.group(1).split()) if window else {}
    for axis in sorted(set(output) - set("bf")):
        number = int(axis)

        def field(name: str, default: str, number: int = number) -> str:
            return fields[name].split("x")[number] if name in fields else default

        low, _, _ = field("pad", "0_0").partition("_")
        operations *= _meetings(
            _Axis(
                image.dims[sides[0].index(axis)],
                int(field("size", "1")),
                result.dims[output.index(axis)],
                stride=int(field("stride", "1")),
                low=int(low),
                image_dilation=int(field("lhs_dilate", "1")),
                kernel_dilation=int(field("rhs_dilate", "1")),
            )
        )
    return operations


class _Axis(NamedTuple):
    """One spatial axis of a convolution: sizes, and how the kernel moves over the image."""

    image: int
    kernel: int
    output: int
    stride: int
    low: int
    image_dilation: int
    kernel_dilation: int


def _meetings(axis: _Axis) -> int:
    """Counts the pairs (place of the output, place of the kernel) that fall on a true place of the image."""
    last = (axis.image - 1) * axis.image_dilation
    places = (
        out * axis.stride - axis.low + at * axis.kernel_dilation
        for out in range(axis.output)
        for at in range(axis.kernel)
    )
    return sum(0 <= place <= last and place % axis.image_dilation == 0 for place in places)


def _moved(program: HloProgram, instructions: dict[str, Instruction], instruction: Instruction) -> int:
    """Returns the bytes that one run of an instruction reads and writes in main memory."""
    opcode = instruction.opcode
    if opcode in _FREE or opcode.endswith("-done"):
        return 0
    if opcode == "copy-start":  # (to, from, a handle)
        return sum(shape.padded_bytes for shape in instruction.shapes[:2] if shape.in_memory)
    if opcode == "custom-call" and "AllocateBuffer" in instruction.rest:
        return 0
    written = sum(shape.padded_bytes for shape in instruction.shapes if shape.in_memory)
    if opcode in ("dynamic-slice", "slice", "gather"):
        return 2 * written
    operands = [instructions[name] for name in instruction.operands if name in instructions]
    if opcode in ("dynamic-update-slice", "scatter"):
        return 2 * sum(shape.padded_bytes for shape in operands[-1 if opcode == "scatter" else 1].shapes)
    if opcode != "fusion":
        return written + sum(_size(one) for one in operands)
    inner = program.computations.get(instruction.called[0], {}) if instruction.called else {}
    return _written(inner, written) + sum(_read(inner, place, one) for place, one in enumerate(operands))


def _size(instruction: Instruction) -> int:
    return sum(shape.padded_bytes for shape in instruction.shapes if shape.in_memory)


def _read(inner: dict[str, Instruction], place: int, operand: Instruction) -> int:
    """Returns the bytes of an operand that a kernel reads: only the part where all it does is to cut one out."""
    if not _size(operand):
        return 0
    name = next((one.name for one in inner.values() if one.opcode == "parameter" and one.inside == str(place)), None)
    users = [one for one in inner.values() if name in one.operands]
    if users and all(one.opcode in ("dynamic-slice", "slice", "gather") for one in users):
        return min(_size(operand), sum(one.shapes[0].bytes for one in users))
    if users and all(one.opcode == "dynamic-update-slice" and one.operands[0] == name for one in users):
        return 0  # changed in place
    return _size(operand)


def _written(inner: dict[str, Instruction], whole: int) -> int:
    """Returns the bytes of its result that a kernel writes: only the part where it changes an array in place."""
    root = next((one for one in inner.values() if one.root), None)
    if root is None:
        return whole
    while root.opcode == "bitcast" and root.operands[0] in inner:
        root = inner[root.operands[0]]
    if root.opcode == "dynamic-update-slice" and root.operands[1] in inner:
        return min(whole, sum(shape.bytes for shape in inner[root.operands[1]].shapes))
    return whole


def _numbers(pattern: str, text: str) -> list[int]:
    found = re.search(pattern, text)
    return [int(number) for number in found.group(1).split(",") if number] if found else []
