"""Instructions of a compiled program (XLA's HLO), and the arrays that they make."""

import dataclasses
import math
import re

NAME = re.compile(r"%([\w.\-]+)")  # of an instruction or a computation, where it is referred to
_BITS = {"pred": 8, "token": 0, "opaque": 0}
_CALLED = re.compile(
    r"(?:calls|body|condition|to_apply|branch_computations|called_computations|true_computation|false_computation)"
    r"=(\{[^}]*\}|%[\w.\-]+)"
)


@dataclasses.dataclass(frozen=True)
class Shape:
    """An array of a program.

    Attributes:
        dtype: Type of a number, by XLA's name, as bf16.
        dims: Sizes of its axes.
        layout: Layout in memory as XLA writes it, e.g. `1,0:T(8,128)`.
    """

    dtype: str
    dims: tuple[int, ...]
    layout: str = ""

    @property
    def item_bits(self) -> int:
        """Returns the bits of a number."""
        digits = re.search(r"\d+", self.dtype)
        return _BITS.get(self.dtype, int(digits.group()) if digits else 0)

    @property
    def elements(self) -> int:
        """Returns how many numbers the array has."""
        return math.prod(self.dims)

    @property
    def bytes(self) -> int:
        """Returns the bytes of the numbers alone."""
        return self.elements * self.item_bits // 8

    @property
    def padded_bytes(self) -> int:
        """Returns the bytes in memory: TPUs store whole tiles, so that a last axis of 64 takes the room of 128."""
        order, _, rest = self.layout.partition(":")
        tile = re.match(r"T\(([\d,]+)\)", rest)
        if tile is None or not order:
            return self.bytes
        sizes = [self.dims[int(axis)] for axis in order.split(",")]  # from the fastest axis to the slowest
        for axis, side in enumerate(reversed([int(side) for side in tile.group(1).split(",")])):
            if axis < len(sizes):
                sizes[axis] = -(-sizes[axis] // side) * side
        return math.prod(sizes) * self.item_bits // 8

    @property
    def in_memory(self) -> bool:
        """Returns whether the array lies in the device's main memory, not in a memory on the chip."""
        return re.search(r"S\([1-9]\d*\)", self.layout) is None

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.dims))}]"


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line of a computation.

    Attributes:
        name: Name that is unique in the program.
        opcode: Opcode of XLA, as `fusion`.
        shapes: Shapes of the result; several for a tuple.
        operands: Names of instructions of the same computation.
        inside: Text in the parentheses: operands, or the value of a constant.
        rest: Attributes behind the operands, as text.
        root: Whether it is the computation's result.
    """

    name: str
    opcode: str
    shapes: tuple[Shape, ...]
    operands: tuple[str, ...]
    inside: str
    rest: str
    root: bool

    @property
    def called(self) -> list[str]:
        """Returns the names of the computations it calls."""
        return [name for part in _CALLED.findall(self.rest) for name in NAME.findall(part)]

    @property
    def op_name(self) -> str:
        """Returns where in the Python program it comes from, as JAX notes it."""
        found = re.search(r'op_name="([^"]*)"', self.rest)
        return found.group(1) if found else ""
