"""Reads the text of a compiled program (XLA's HLO) into instructions, and counts how often each of them runs.

XLA's own cost analysis counts the body of a loop once, whereas a training step is loops: over chunks, over layers, over
rows of scores. So every computation gets a number of runs here: that of its caller, times the trips of the loop.
"""

import dataclasses
import math
import re
from collections.abc import Iterator

from instructor_jax.train.plan.loops import trips

_BITS = {"pred": 8, "token": 0, "opaque": 0}
_HEAD = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\) -> .*\{$")
_INSTRUCTION = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = ")
_SHAPE = re.compile(r"([a-z]\w*)\[([\d,]*)\](?:\{([^{}]*)\})?")
_CALLED = re.compile(
    r"(?:calls|body|condition|to_apply|branch_computations|called_computations|true_computation|false_computation)"
    r"=(\{[^}]*\}|%[\w.\-]+)"
)
_NAME = re.compile(r"%([\w.\-]+)")
# what hands control to another computation; everything else that names one describes a kernel by it
_CALLS = ("while", "conditional", "call", "async-start")


@dataclasses.dataclass(frozen=True)
class Shape:
    """An array of a program.

    Attributes:
        dtype: XLA's name, as bf16.
        dims: sizes of its axes.
        layout: XLA's text on how it lies in memory, as `1,0:T(8,128)`.
    """

    dtype: str
    dims: tuple[int, ...]
    layout: str = ""

    @property
    def item_bits(self) -> int:
        """Bits of a number."""
        digits = re.search(r"\d+", self.dtype)
        return _BITS.get(self.dtype, int(digits.group()) if digits else 0)

    @property
    def elements(self) -> int:
        """How many numbers."""
        return math.prod(self.dims)

    @property
    def bytes(self) -> int:
        """Bytes of the numbers alone."""
        return self.elements * self.item_bits // 8

    @property
    def padded_bytes(self) -> int:
        """Bytes in memory: TPUs store whole tiles, so that a last axis of 64 takes the room of 128."""
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
        """Whether it lies in the device's main memory, not in a memory on the chip."""
        return re.search(r"S\([1-9]\d*\)", self.layout) is None

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.dims))}]"


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line of a computation.

    Attributes:
        name: unique in the program.
        opcode: XLA's, as `fusion`.
        shapes: of the result; several for a tuple.
        operands: names of instructions of the same computation.
        inside: what stands in the parentheses: operands, or the value of a constant.
        rest: the attributes behind the operands, as text.
        root: whether it is the computation's result.
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
        """Names of the computations it calls."""
        return [name for part in _CALLED.findall(self.rest) for name in _NAME.findall(part)]

    @property
    def op_name(self) -> str:
        """Where in the Python program it comes from, as JAX notes it."""
        found = re.search(r'op_name="([^"]*)"', self.rest)
        return found.group(1) if found else ""


@dataclasses.dataclass(frozen=True)
class HloProgram:
    """A compiled program.

    Attributes:
        computations: name -> its instructions in order.
        runs: name -> how often it runs in one call of the program.
        fused: names of computations whose instructions only describe a single kernel.
    """

    computations: dict[str, dict[str, Instruction]]
    runs: dict[str, int]
    fused: frozenset[str]

    def executed(self, fused: bool = False) -> Iterator[tuple[int, dict[str, Instruction], Instruction]]:
        """(runs, its computation, instruction) of everything that runs.

        Args:
            fused: also what is inside of kernels; else each kernel counts as the one instruction that calls it.
        """
        for name, instructions in self.computations.items():
            runs = self.runs.get(name, 0)
            if runs and (fused or name not in self.fused):
                for instruction in instructions.values():
                    yield runs, instructions, instruction


def parse_hlo(text: str) -> HloProgram:
    """The program that `jax.stages.Compiled.as_text` gives.

    Raises:
        ValueError: it is no such text.
    """
    computations: dict[str, dict[str, Instruction]] = {}
    current: dict[str, Instruction] = {}
    entry = ""
    for line in text.splitlines():
        if line[:1] in ("%", "E") and (head := _HEAD.match(line)):
            current = computations[head.group(1)] = {}
            entry = head.group(1) if line.startswith("ENTRY") else entry
        elif found := _INSTRUCTION.match(line):
            instruction = _instruction(line[found.end() :], found.group(2), found.group(1) is not None)
            current[instruction.name] = instruction
    if not entry:
        raise ValueError("the text holds no ENTRY computation; give Compiled.as_text().")
    return HloProgram(computations, *_runs(computations, entry))


def _instruction(text: str, name: str, root: bool) -> Instruction:
    """The part of a line behind the `=`: type, opcode(operands), attributes."""
    end = _closing(text, 0) + 1 if text.startswith("(") else text.index(" ")
    opening = text.index("(", end)
    closing = _closing(text, opening)
    shapes = tuple(
        Shape(dtype, tuple(int(size) for size in dims.split(",") if size), layout)
        for dtype, dims, layout in _SHAPE.findall(text[:end])
    )
    inside = text[opening + 1 : closing]
    operands = tuple(_NAME.findall(inside))
    return Instruction(name, text[end:opening].strip(), shapes, operands, inside, text[closing + 1 :], root)


def _closing(text: str, opening: int) -> int:
    depth = 0
    for place in range(opening, len(text)):
        depth += (text[place] == "(") - (text[place] == ")")
        if not depth:
            return place
    raise ValueError(f"unbalanced parentheses in {text[:200]!r}.")


def _runs(computations: dict[str, dict[str, Instruction]], entry: str) -> tuple[dict[str, int], frozenset[str]]:
    runs, fused = {entry: 1}, set()
    for name in _callers_first(computations, entry):
        for instruction in computations[name].values():
            times = trips(instruction, computations) if instruction.opcode == "while" else 1
            kernel = name in fused or instruction.opcode not in _CALLS
            for called in instruction.called:
                runs[called] = runs.get(called, 0) + runs[name] * times
                if kernel:
                    fused.add(called)
    return runs, frozenset(fused)


def _callers_first(computations: dict[str, dict[str, Instruction]], entry: str) -> list[str]:
    order: list[str] = []
    seen: set[str] = set()

    def visit(name: str) -> None:
        if name in seen or name not in computations:
            return
        seen.add(name)
        for instruction in computations[name].values():
            for called in instruction.called:
                visit(called)
        order.append(name)

    visit(entry)
    return order[::-1]
