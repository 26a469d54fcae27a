"""What the devices of a compiled program send to one another: kind, size, number of runs, and who takes part.

TPUs write a collective in several pieces, so that it runs beside the computation, and a reduce-scatter as a kernel with
an all-reduce inside. Pieces of one collective share its channel; here they are one. Between slices it is a send and a
receive through the hosts, with the collective that they stand for as an attribute.
"""

import dataclasses
import re

from .hlo import HloProgram
from .instruction import Instruction, Shape

_GROUPS = r"replica_groups=(\{\{[\d,]*\}|\[(\d+),(\d+)\]<=|mesh\[([^\]]*)\](?:, device_ids=\([^{]*\))? \{([^}]*)\})"
KINDS = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute", "collective-broadcast")


@dataclasses.dataclass(frozen=True)
class Collective:
    """One collective of a program.

    Attributes:
        kind: One of `KINDS`.
        shapes: Shapes of whole arrays: what an all-gather gives, what a reduce-scatter takes.
        participants: Number of devices of each group that exchange them.
        runs: Number of times that it runs in one call of the program.
        op_name: Place it comes from, as JAX notes it.
        slices: Number of slices that it runs between, over the network of the data centre; 1 within one.
    """

    kind: str
    shapes: tuple[Shape, ...]
    participants: int
    runs: int
    op_name: str
    slices: int = 1

    @property
    def bytes(self) -> int:
        """Returns the bytes of the whole arrays in one run."""
        return sum(shape.bytes for shape in self.shapes)

    @property
    def sent(self) -> float:
        """Returns the bytes that each device sends in all runs, by the best known way.

        That is a ring (Patarasuk and Yuan 2009).
        """
        others = (self.participants - 1) / max(1, self.participants)
        share = {"all-reduce": 2 * others, "collective-permute": 1.0, "collective-broadcast": 1.0}
        return self.runs * self.bytes * share.get(self.kind, others)


def collectives(program: HloProgram, devices: int) -> list[Collective]:
    """Returns all collectives of a program, those that send most first.

    Args:
        program: Program that the compiler made.
        devices: Number of devices of the mesh; where a program names no group, all take part.
    """
    found: dict[str, Collective] = {}
    scattering = _scattering(program)
    for name, instructions in program.computations.items():
        runs = program.runs.get(name, 0)
        for instruction in instructions.values():
            kind = instruction.opcode.removesuffix("-start")
            if not runs or kind not in KINDS:
                continue
            channel = re.search(r"channel_id=(\d+)", instruction.rest)
            shapes = instruction.shapes
            if instruction.opcode.endswith("-start") and len(shapes) > 1:
                shapes = shapes[len(shapes) // 2 :] if kind != "collective-permute" else shapes[1:2]
            if kind == "reduce-scatter":
                shapes = tuple(_whole(shape, instruction, devices) for shape in shapes)
            one = Collective(
                "reduce-scatter" if name in scattering else kind,
                tuple(shape for shape in shapes if shape.dims or len(shapes) == 1),
                _participants(instruction, devices),
                runs,
                instruction.op_name or scattering.get(name, ""),
            )
            key = channel.group(1) if channel else instruction.name
            if key not in found or found[key].runs < runs:
                found[key] = one
    return sorted([*found.values(), *_between_slices(program)], key=lambda one: -one.sent)


def _between_slices(program: HloProgram) -> list[Collective]:
    """Returns the collectives between slices; each meets under a name that its pieces share."""
    found: dict[str, Collective] = {}
    for runs, _, instruction in program.executed():
        meeting = re.search(r'_xla_host_transfer_rendezvous="([^"]*)"', instruction.rest)
        kind = re.search(r'_xla_megascale_transfer_type="([A-Z_]+)"', instruction.rest)
        if instruction.opcode not in ("send", "recv") or meeting is None or kind is None:
            continue
        slices, shape = _slices(instruction.rest), _flat(instruction.shapes[0])
        one = Collective(kind.group(1).lower().replace("_", "-"), (shape,), slices, runs, instruction.op_name, slices)
        known = found.get(meeting.group(1))
        # a gather gives the whole array, a scatter takes it
        if known is None or known.bytes < one.bytes:
            found[meeting.group(1)] = one
    return list(found.values())


def _flat(shape: Shape) -> Shape:
    """Returns the shape of what is sent as whole tiles, whose own sizes say nothing of the array, as one axis."""
    return Shape(shape.dtype, (shape.elements,)) if shape.dims[-2:] in ((8, 128), (1, 128)) else shape


def _slices(attributes: str) -> int:
    """Returns the number of slices of a target such as `{1,2}x{0:3}`: slices, and the devices of each."""
    target = re.search(r'_xla_megascale_target="\{([^}]*)\}', attributes)
    total = 0
    for part in target.group(1).split(",") if target else []:
        first, colon, last = part.partition(":")
        total += int(last) - int(first) + 1 if colon else 1
    return max(2, total)


def _scattering(program: HloProgram) -> dict[str, str]:
    """Returns the computations of kernels that reduce and keep a part: name -> where the kernel comes from."""
    return {
        called: instruction.op_name
        for _, _, instruction in program.executed()
        for called in instruction.called
        if called.startswith("all-reduce-scatter")
    }


def _whole(shape: Shape, instruction: Instruction, devices: int) -> Shape:
    """Returns the shape that a reduce-scatter takes, from the one that it gives."""
    axis = re.search(r"dimensions=\{(\d+)\}", instruction.rest)
    dims = list(shape.dims)
    dims[int(axis.group(1)) if axis else 0] *= _participants(instruction, devices)
    return dataclasses.replace(shape, dims=tuple(dims))


def _participants(instruction: Instruction, devices: int) -> int:
    """Returns the number of devices of a group, from `{{0,1},{2,3}}`, `[4,8]<=[32]` or `mesh['x'=4,'y'=8] {'y'}`."""
    if instruction.opcode.startswith("collective-permute"):
        return 2
    groups = re.search(_GROUPS, instruction.rest)
    if groups is None:
        return devices
    if groups.group(3):
        return int(groups.group(3))
    if groups.group(4):
        sizes = dict(re.findall(r"'([^']+)'=(\d+)", groups.group(4)))
        total = 1
        for axis, part in re.findall(r"'([^']+)'(?::\(\d+\)(\d+))?", groups.group(5)):
            total *= int(part or sizes[axis])
        return total
    return groups.group(1).count(",") + 1
