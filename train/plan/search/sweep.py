"""The best mesh and the largest batch for a topology, found with a dozen compilations at most.

First how many chunks, from one on, and what layers keep, then the meshes, at the batch that was asked for: the lowest
bound wins, among those that fit.
Then the batch grows on the best one, with as many rows in a chunk as before, until it does not fit, or has 65,536
examples, or no compilation is left: twofold, then by as many doublings as the memory of the last two plans suggests.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from instructor_jax.io.atomic import whole_file
from instructor_jax.sharding import MeshShape

from ...config import TrainConfig
from ..own_files import MARK
from ..record import Plan

MOST = 12
_FOR_MESHES = 8
_AT_ONCE = 16  # times; a guess from two plans is not trusted further
_LARGEST = 65_536  # examples; with chunks memory hardly grows, and nobody trains with more

Planner = Callable[[TrainConfig], Plan]


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Result of a search for the best mesh and the largest batch.

    Attributes:
        plans: Plans in the order in which they were made.
        best: The fitting plan with the lowest bound a token; None where nothing fits.
        largest: The fitting plan with the most examples; None where nothing fits.
        refused: Settings that cannot be planned, with the reason.
    """

    plans: tuple[Plan, ...]
    best: Plan | None
    largest: Plan | None
    refused: tuple[str, ...]


def meshes(config: TrainConfig, devices: int) -> list[MeshShape]:
    """Lists meshes worth a compilation, likely good ones first: the given one, then fsdp over more and more devices."""
    data, fsdp, tensor = config.mesh.resolve(devices)
    found = [MeshShape(data, fsdp, tensor)]
    powers = [2**power for power in range(devices.bit_length()) if devices % 2**power == 0]
    middle = powers[len(powers) // 2]
    for split in (1, 4):
        for parts in dict.fromkeys((middle, devices // split, middle // 4, 4 * middle, 1)):
            if parts >= 1 and devices % (parts * split) == 0 and config.model.encoder.heads % split == 0:
                found.append(MeshShape(devices // parts // split, parts, split))
    return list(dict.fromkeys(found))


def grown(config: TrainConfig, times: int) -> TrainConfig:
    """Returns the configuration with so many times the examples, and as many sequences in a chunk."""
    group = dataclasses.replace(config.group, rows=times * config.group.rows, examples=times * config.group.examples)
    return dataclasses.replace(config, group=group, gradient_cache_chunks=times * config.gradient_cache_chunks)


def growth(smaller: Plan, last: Plan) -> int:
    """Returns how many times the batch of `last` should fit: a power of two, from what an example took so far."""
    assert smaller.memory is not None
    assert last.memory is not None
    examples, room = last.settings["examples"], last.memory.available
    each = (last.memory.total - smaller.memory.total) / (examples - smaller.settings["examples"])
    times = 2
    while room and times < _AT_ONCE and last.memory.total + (2 * times - 1) * examples * max(each, 0.0) <= room:
        times *= 2
    return times


def sweep(config: TrainConfig, devices: int, planner: Planner, most: int = MOST) -> Sweep:
    """Looks for the best mesh and the largest batch.

    Args:
        config: Configuration to begin with.
        devices: Number of devices of the topology.
        planner: Function that makes a plan; a `ValueError` of it says that a configuration is impossible.
        most: Largest number of compilations.
    """
    plans: list[tuple[TrainConfig, Plan]] = []
    refused: list[str] = []

    def attempt(one: TrainConfig) -> None:
        if len(plans) < min(_FOR_MESHES, most):
            try:
                plans.append((one, planner(one)))
            except ValueError as error:
                refused.append(str(error))

    given, *others = (dataclasses.replace(config, mesh=mesh) for mesh in meshes(config, devices))
    attempt(given)
    if given.gradient_cache_chunks > 1:  # every chunk is computed twice, and gathers all weights anew
        attempt(dataclasses.replace(given, gradient_cache_chunks=1, remat="full"))
    begin = (_best(plans) or (given,))[0]
    for remat in ("full", "attention", "dots"):
        one = dataclasses.replace(begin, remat=remat)
        if one not in [config for config, _ in plans]:
            attempt(one)
    kept = (_best(plans) or (begin,))[0]  # chunks and what layers keep are decided on one mesh for all
    for other in others:
        attempt(dataclasses.replace(other, gradient_cache_chunks=kept.gradient_cache_chunks, remat=kept.remat))
    best = _best(plans)
    if best is not None:
        plans += _larger(*best, planner, most - len(plans))
    fitting = [plan for _, plan in plans if plan.fits]
    return Sweep(
        tuple(plan for _, plan in plans),
        min(fitting, key=seconds_per_token, default=None),
        max(fitting, key=lambda plan: plan.settings["examples"], default=None),
        tuple(refused),
    )


def _best(plans: list[tuple[TrainConfig, Plan]]) -> tuple[TrainConfig, Plan] | None:
    return min((pair for pair in plans if pair[1].fits), key=lambda pair: seconds_per_token(pair[1]), default=None)


def _larger(config: TrainConfig, plan: Plan, planner: Planner, most: int) -> list[tuple[TrainConfig, Plan]]:
    """Plans larger and larger batches, up to one that does not fit or is the largest that anybody wants."""
    plans: list[tuple[TrainConfig, Plan]] = []
    times = 2
    while plan.fits and len(plans) < most and times * plan.settings["examples"] <= _LARGEST:
        config = grown(config, times)
        smaller, plan = plan, planner(config)
        plans.append((config, plan))
        times = growth(smaller, plan)
        while times > 2 and times * plan.settings["examples"] > _LARGEST:
            times //= 2
    return plans


def seconds_per_token(plan: Plan) -> float:
    """Returns what the bound allows, or without a datasheet what the plan's memory suggests; less is better."""
    if plan.roofline is not None:
        return plan.roofline.bound / plan.roofline.tokens
    assert plan.memory is not None
    return float(plan.memory.total)


def write_plot(found: Sweep, path: Path) -> None:
    """Draws memory and bound of every plan as an image.

    Raises:
        ImportError: The extra `plots` is absent.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("the plot needs matplotlib: pip install 'instructor-jax[plots]'") from error
    names = [
        f"{'x'.join(map(str, plan.mesh.values()))} {plan.settings['remat']} {plan.settings['examples']:,}"
        for plan in found.plans
    ]
    figure = Figure(figsize=(9, 1.5 + 0.4 * len(names)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    memories = [plan.memory for plan in found.plans]
    left.barh(names, [0 if one is None else one.arguments / 2**30 for one in memories], label="arguments")
    starts = [0 if one is None else one.arguments / 2**30 for one in memories]
    left.barh(
        names, [0 if one is None else one.temporaries / 2**30 for one in memories], left=starts, label="temporaries"
    )
    available = next((one.available for one in memories if one is not None and one.available), None)
    if available is not None:
        left.axvline(available / 2**30, color="black", linestyle="--", label="there is")
    left.set_xlabel("GiB on a device")
    left.legend()
    left.invert_yaxis()
    for name, plan in zip(names, found.plans, strict=True):
        if plan.roofline is not None:
            times = (plan.roofline.arithmetic, plan.roofline.memory, plan.roofline.interconnect)
            for offset, (what, seconds) in enumerate(zip(("arithmetic", "memory", "interconnect"), times, strict=True)):
                label = what if plan is found.plans[0] else None
                right.plot(seconds / plan.roofline.tokens * 1e9, name, "osD"[offset], color=f"C{offset}", label=label)
    right.set_xlabel("ns a token of all devices, at least")
    if right.get_legend_handles_labels()[0]:
        right.legend()
    figure.suptitle(f"{found.plans[0].what} on {found.plans[0].topology}: data x fsdp x tensor, remat, examples")
    with whole_file(path) as draft:
        figure.savefig(draft, format=path.suffix.removeprefix("."), dpi=120, metadata={"Software": MARK})
