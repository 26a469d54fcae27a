"""`Plan`: what is known of a program before anybody has the devices for it; as plain values, for JSON."""

import dataclasses
from typing import Any

from .buffers import Buffer
from .memory import Memory
from .roofline import Roofline


@dataclasses.dataclass(frozen=True)
class Exchange:
    """Collectives of a program that are alike.

    Attributes:
        kind: Kind of the collectives, as `all-gather`.
        arrays: Whole arrays that are exchanged in one run, as text.
        participants: Number of devices that exchange them.
        runs: Number of runs in one call of the program.
        bytes: Bytes of the whole arrays, in one run.
        sent: Bytes that each device sends in all runs.
        slices: Number of slices that they run between, over the network of the data centre; 1 within one.
    """

    kind: str
    arrays: str
    participants: int
    runs: int
    bytes: int
    sent: float
    slices: int = 1


@dataclasses.dataclass(frozen=True)
class Plan:
    """One program on one topology. Bytes, operations and counts are those of one device, if nothing else is said.

    Attributes:
        what: Kind of the program: "training step", "encode", or a run's "evaluation" or "export".
        topology: Name of the devices.
        kind: Kind of the devices, as JAX calls them.
        devices: Number of the devices.
        mesh: Size of every mesh axis.
        settings: Settings that decide the program's shape, by name.
        memory: Memory of the program; None where the compiler refused it and did not say what it would take.
        buffers: Largest arrays, the largest first; empty where the compiler refused the program.
        operations: Operations of matrix products, in one call.
        traffic: Bytes to and from memory, in one call.
        opaque: Number of kernels whose operations are not known and not in `operations`.
        exchanges: Collectives, those that send most first.
        roofline: Bound on the speed; None on devices without a datasheet, and for refused programs.
        fill: Fraction of the tokens that are no padding; 1 where every text is as long as it may be.
        faults: Faults of the sharding, a sentence each.
        seconds: Seconds that the compiler took.
        host: Bytes that the host must have for the weights that pass through it; 0 where none do.
        chosen: What was chosen where the user left it open: the settings first, then a sentence each.
    """

    what: str
    topology: str
    kind: str
    devices: int
    mesh: dict[str, int]
    settings: dict[str, Any]
    memory: Memory | None
    buffers: tuple[Buffer, ...] = ()
    operations: float = 0.0
    traffic: float = 0.0
    opaque: int = 0
    exchanges: tuple[Exchange, ...] = ()
    roofline: Roofline | None = None
    fill: float = 1.0
    faults: tuple[str, ...] = ()
    seconds: float = 0.0
    host: int = 0
    chosen: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Returns whether the devices have the memory."""
        return self.memory is not None and self.memory.fits

    @property
    def sent(self) -> float:
        """Returns the bytes that a device sends."""
        return sum(one.sent for one in self.exchanges)

    @property
    def real_tokens_per_second(self) -> float | None:
        """Returns the largest possible number of tokens a second of all devices that are no padding."""
        return None if self.roofline is None else self.roofline.tokens_per_second * self.fill


def to_json(plan: Plan) -> dict[str, Any]:
    """Returns the plan and what follows from it, as JSON keeps it."""
    found = dataclasses.asdict(plan)
    if plan.memory is not None:
        found["memory"] |= {"total": plan.memory.total, "fits": plan.memory.fits}
    roofline = plan.roofline
    if roofline is not None:
        found["roofline"] |= {
            "step_seconds": roofline.bound,
            "step_seconds_one_by_one": roofline.one_by_one,
            "limited_by": roofline.limited_by,
            "mfu": roofline.mfu,
            "mfu_one_by_one": roofline.mfu_one_by_one,
            "tokens_per_second": roofline.tokens_per_second,
            "real_tokens_per_second": plan.real_tokens_per_second,
        }
    return found


def from_json(value: dict[str, Any]) -> Plan:
    """Returns the plan that `to_json` wrote; what follows from the rest is left out.

    Raises:
        TypeError: It is no plan of this version.
    """
    nested = {
        "memory": None if value["memory"] is None else _made(Memory, value["memory"]),
        "roofline": None if value["roofline"] is None else _made(Roofline, value["roofline"]),
        "buffers": tuple(Buffer(**one) for one in value["buffers"]),
        "exchanges": tuple(Exchange(**one) for one in value["exchanges"]),
        "faults": tuple(value["faults"]),
        "chosen": tuple(value["chosen"]),
    }
    return Plan(**{**value, **nested})


def _made(kind: Any, value: dict[str, Any]) -> Any:
    return kind(**{field.name: value[field.name] for field in dataclasses.fields(kind)})
