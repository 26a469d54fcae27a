"""How often the body of a loop of a compiled program runs."""

import re
from collections.abc import Mapping

from .instruction import Instruction

_Computations = Mapping[str, Mapping[str, Instruction]]


def trips(loop: Instruction, computations: _Computations) -> int:
    """Returns the trips of a loop as XLA notes them, else from the number its counter is compared with.

    1 where neither is told.

    A loop that XLA made of a scan, or of a product whose operands go round, counts from 0.

    Args:
        loop: An instruction with the opcode `while`.
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
    return -(-max(1, *bounds, 1) // _stride(loop, computations))


def _stride(loop: Instruction, computations: _Computations) -> int:
    """Returns what a trip adds to the loop's counter; 1 where that is not to be seen."""
    names = [re.search(rf"{part}=%([\w.\-]+)", loop.rest) for part in ("condition", "body")]
    condition, body = (computations.get(name.group(1), {}) if name else {} for name in names)
    places = {one.name: place for one in condition.values() if (place := _element(one)) is not None}
    compared = next((one for one in condition.values() if one.opcode == "compare"), None)
    place = next((places[name] for name in compared.operands if name in places), None) if compared else None
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
