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
        kind: as `all-gather`.
        arrays: whole arrays that are exchanged in one run, as text.
        participants: devices that exchange them.
        runs: in one call of the program.
        bytes: of the whole arrays, in one run.
        sent: bytes that each device sends in all runs.
    """

    kind: str
    arrays: str
    participants: int
    runs: int
    bytes: int
    sent: float


@dataclasses.dataclass(frozen=True)
class Plan:
    """One program on one topology. Bytes, operations and counts are those of one device, if nothing else is said.

    Attributes:
        what: "training step" or "encode".
        topology: name of the devices.
        kind: of the devices, as JAX calls them.
        devices: how many.
        mesh: size of every mesh axis.
        settings: what decides the program's shape, by name.
        memory: None where the compiler refused the program and did not say what it would take.
        buffers: largest arrays first; empty where the compiler refused the program.
        operations: of matrix products, in one call.
        traffic: bytes to and from memory, in one call.
        opaque: kernels whose operations are not known and not in `operations`.
        exchanges: those that send most first.
        roofline: None on devices without a datasheet, and for refused programs.
        fill: share of the tokens that are no padding; 1 where every text is as long as it may be.
        faults: what is wrong with the sharding.
        seconds: that the compiler took.
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

    @property
    def fits(self) -> bool:
        """Whether the devices have the memory."""
        return self.memory is not None and self.memory.fits

    @property
    def sent(self) -> float:
        """Bytes that a device sends."""
        return sum(one.sent for one in self.exchanges)

    @property
    def real_tokens_per_second(self) -> float | None:
        """Tokens that are no padding, of all devices, at most."""
        return None if self.roofline is None else self.roofline.tokens_per_second * self.fill


def to_json(plan: Plan) -> dict[str, Any]:
    """The plan and what follows from it, as JSON keeps it."""
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
            "tokens_per_second": roofline.tokens_per_second,
            "real_tokens_per_second": plan.real_tokens_per_second,
        }
    return found


def from_json(value: dict[str, Any]) -> Plan:
    """The other way round; what follows from the rest is left out.

    Raises:
        TypeError: it is no plan of this version.
    """
    nested = {
        "memory": None if value["memory"] is None else _made(Memory, value["memory"]),
        "roofline": None if value["roofline"] is None else _made(Roofline, value["roofline"]),
        "buffers": tuple(Buffer(**one) for one in value["buffers"]),
        "exchanges": tuple(Exchange(**one) for one in value["exchanges"]),
        "faults": tuple(value["faults"]),
    }
    return Plan(**{**value, **nested})


def _made(kind: Any, value: dict[str, Any]) -> Any:
    return kind(**{field.name: value[field.name] for field in dataclasses.fields(kind)})
