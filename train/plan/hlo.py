"""Reads the text of a compiled program (XLA's HLO) into instructions, and counts how often each of them runs.

XLA's own cost analysis counts the body of a loop once, whereas a training step is loops: over chunks, over layers, over
rows of scores. So every computation gets a number of runs here: that of its caller, times the trips of the loop.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping

from .instruction import NAME, Instruction, Shape

_HEAD = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\) -> .*\{$")
_INSTRUCTION = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = ")
_SHAPE = re.compile(r"([a-z]\w*)\[([\d,]*)\](?:\{([^{}]*)\})?")
# what hands control to another computation; everything else that names one describes a kernel by it
_CALLS = ("while", "conditional", "call", "async-start")
_Computations = Mapping[str, Mapping[str, Instruction]]


@dataclasses.dataclass(frozen=True)
class HloProgram:
    """A compiled program.

    Attributes:
        computations: Instructions of each computation in order, by its name.
        runs: Number of times that each computation runs in one call of the program, by its name.
        fused: Names of computations whose instructions only describe a single kernel.
    """

    computations: dict[str, dict[str, Instruction]]
    runs: dict[str, int]
    fused: frozenset[str]

    def executed(self, fused: bool = False) -> Iterator[tuple[int, dict[str, Instruction], Instruction]]:
        """Yields (runs, its computation, instruction) of everything that runs.

        Args:
            fused: Whether what is inside of kernels counts; else each kernel counts as the one instruction that calls
                it.
        """
        for name, instructions in self.computations.items():
            runs = self.runs.get(name, 0)
            if runs and (fused or name not in self.fused):
                for instruction in instructions.values():
                    yield runs, instructions, instruction


def parse_hlo(text: str) -> HloProgram:
    """Parses the program that `jax.stages.Compiled.as_text` gives.

    Raises:
        ValueError: It is no such text.
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
    """Parses the part of a line behind the `=`: type, opcode(operands), attributes."""
    end = _closing(text, 0) + 1 if text.startswith("(") else text.index(" ")
    opening = text.index("(", end)
    closing = _closing(text, opening)
    shapes = tuple(
        Shape(dtype, tuple(int(size) for size in dims.split(",") if size), layout)
        for dtype, dims, layout in _SHAPE.findall(text[:end])
    )
    inside = text[opening + 1 : closing]
    operands = tuple(NAME.findall(inside))
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
            times = trips(instruction, computations[name], computations) if instruction.opcode == "while" else 1
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


def trips(loop: Instruction, instructions: Mapping[str, Instruction], computations: _Computations) -> int:
    """Returns the trips of a loop as XLA notes them, else from the numbers that its counter starts and ends with.

    1 where neither is told. A loop whose first trips XLA has taken out, to overlap them with others, starts at their
    number; where no start is told, a loop counts from 0.

    Args:
        loop: An instruction with the opcode `while`.
        instructions: Instructions of the computation that it stands in.
        computations: Computations of its program, by name.
    """
    known = re.search(r'known_trip_count"?[:=]\{"?n"?[:=]"?(\d+)', loop.rest)
    if known:
        return int(known.group(1))
    condition = re.search(r"condition=%([\w.\-]+)", loop.rest)
    names = [condition.group(1)] if condition else []
    bounds = []
    while names:
        for instruction in computations.get(names.pop(), {}).values():
            names += instruction.called
            if instruction.opcode == "constant" and instruction.inside.isdecimal():
                bounds.append(int(instruction.inside))
    start, stride = _start(loop, instructions, computations), _stride(loop, computations)
    return max(1, -(-(max(1, *bounds, 1) - start) // stride))


def _counter(loop: Instruction, computations: _Computations) -> int | None:
    """Returns which part of the loop's state its condition compares; None where that is not to be seen."""
    found = re.search(r"condition=%([\w.\-]+)", loop.rest)
    condition = computations.get(found.group(1), {}) if found else {}
    places = {one.name: place for one in condition.values() if (place := _element(one)) is not None}
    compared = next((one for one in condition.values() if one.opcode == "compare"), None)
    return next((places[name] for name in compared.operands if name in places), None) if compared else None


def _start(loop: Instruction, instructions: Mapping[str, Instruction], computations: _Computations) -> int:
    """Returns the number that the loop's counter starts with; 0 where that is not to be seen."""
    place = _counter(loop, computations)
    state = instructions.get(loop.operands[0]) if loop.operands else None
    if place is None or state is None or state.opcode != "tuple" or place >= len(state.operands):
        return 0
    value = instructions.get(state.operands[place])
    while value is not None and value.opcode == "copy":
        value = instructions.get(value.operands[0])
    return int(value.inside) if value is not None and value.opcode == "constant" and value.inside.isdecimal() else 0


def _stride(loop: Instruction, computations: _Computations) -> int:
    """Returns what a trip adds to the loop's counter; 1 where that is not to be seen."""
    found, place = re.search(r"body=%([\w.\-]+)", loop.rest), _counter(loop, computations)
    body = computations.get(found.group(1), {}) if found else {}
    result = next((one for one in body.values() if one.root and one.opcode == "tuple"), None)
    if place is None or result is None or place >= len(result.operands):
        return 1
    added = body.get(result.operands[place])
    if added is None or added.opcode != "add":
        return 1
    steps = [body[name].inside for name in added.operands if name in body and body[name].opcode == "constant"]
    return int(steps[0]) if steps and steps[0].isdecimal() and int(steps[0]) > 0 else 1


def _element(instruction: Instruction) -> int | None:
    """Returns which part of a tuple an instruction takes; None if it takes none."""
    found = re.search(r"index=(\d+)", instruction.rest) if instruction.opcode == "get-tuple-element" else None
    return int(found.group(1)) if found else None
