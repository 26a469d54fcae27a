"""What a plan chooses where its user leaves it open: groups, mesh, chunks, what layers keep; with few compilations.

1. Groups: the recipe's number, rounded up to a multiple of the devices that hold different examples.
2. Mesh: `fsdp` over as few devices as leave three quarters of the memory to activations, within a slice; the others
   are `data`.
3. On devices with a datasheet one chunk and `remat=full` come first, elsewhere the recipe's own settings.
4. What does not fit gets more chunks, as many as its temporaries are times too large, then a larger `fsdp`.
5. What fits in one chunk and has room for it is compared with `remat=attention`; the lower bound wins.
6. Where copies of the weights add gradients, AdamW's moments split among them are tried too, and between slices
   gradients that are added once; the lower bound wins.

What the user gave stays as it is.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax

from instructor_jax.sharding import Device, MeshShape, slices_of

from ...chips import chip_of
from ...config import TrainConfig
from ...step import abstract_state
from ..memory import available_memory
from ..record import Plan

MOST = 5  # compilations
_SHARE_OF_STATE = 0.25  # of the memory, for weights, gradients and the optimizer's state
GROUPS, CHUNKS, REMAT = "batch.groups", "gradient_cache_chunks", "remat"
SPLIT, ONCE = "optimizer.split_moments", "optimizer.sum_gradients_once"

Planner = Callable[[TrainConfig], Plan]


class Devices(NamedTuple):
    """The devices of a topology.

    Attributes:
        count: Number of all of them.
        memory: Bytes that a program may use on each; None where nobody knows.
        kind: JAX's name of them.
        slices: Number of slices that they lie on.
    """

    count: int
    memory: int | None
    kind: str
    slices: int = 1


def told_by(devices: Sequence[Device]) -> Devices:
    """Returns what a choice needs to know of the devices of a topology."""
    return Devices(len(devices), available_memory(devices), devices[0].device_kind, slices_of(devices))


def chosen_plan(
    config: TrainConfig, given: frozenset[str], about: Devices, planner: Planner
) -> tuple[TrainConfig, Plan]:
    """Returns what was chosen, and its plan, which says so.

    Args:
        config: Configuration of the run as the recipe and the user have it.
        given: Dotted keys of the settings that the user gave.
        about: The devices.
        planner: Function that makes a plan.

    Raises:
        ValueError: Groups or mesh that were given do not fit the devices.
    """
    recipe, config = config, scaled(config, given, about)
    if chip_of(about.kind) is not None:
        config = _with(config, given, 1, "full")
    tried: list[tuple[TrainConfig, Plan]] = []

    def attempt(one: TrainConfig) -> Plan:
        tried.append((one, planner(one)))
        return tried[-1][1]

    plan = attempt(config)
    while not plan.fits and len(tried) < MOST:
        smaller = _smaller(config, plan, given, about)
        if smaller is None:
            break
        config, plan = smaller, attempt(smaller)
    if plan.fits and REMAT not in given and plan.roofline is not None and _has_room(config, plan):
        attempt(dataclasses.replace(config, remat="attention"))
    for keys in _of_copies(config, given, about):
        best = min((one for one in tried if one[1].fits), key=lambda one: _seconds(one[1]), default=None)
        if best is not None and best[1].roofline is not None:
            attempt(dataclasses.replace(best[0], optimizer=dataclasses.replace(best[0].optimizer, **keys)))
    fitting = [one for one in tried if one[1].fits]
    best = min(fitting, key=lambda one: _seconds(one[1])) if fitting else tried[-1]
    return best[0], dataclasses.replace(best[1], chosen=_told(recipe, best, tried, given))


def scaled(config: TrainConfig, given: frozenset[str], about: Devices) -> TrainConfig:
    """Returns the configuration with a mesh for its weights and a number of groups for its devices.

    Args:
        config: Configuration of the run as the recipe and the user have it.
        given: Dotted keys of the settings that the user gave.
        about: The devices.
    """
    mesh = config.mesh
    if not any(key.startswith("mesh.") for key in given):
        fsdp = _parts(config, about)
        mesh = MeshShape(data=about.count // fsdp, fsdp=fsdp)
    groups = config.groups
    if GROUPS not in given:
        data, fsdp, _ = mesh.resolve(about.count)
        groups = -(-groups // (data * fsdp)) * data * fsdp
    return dataclasses.replace(config, mesh=mesh, groups=groups)


def state_bytes(config: TrainConfig) -> int:
    """Returns the bytes of weights, their gradients and the optimizer's state, all of them together."""
    state = abstract_state(config)
    leaves = [*jax.tree.leaves(state), *jax.tree.leaves(state.params)]
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)


def _parts(config: TrainConfig, about: Devices) -> int:
    """Returns over how many devices of a slice weights and state are split."""
    each, width = about.count // about.slices, config.model.encoder.embed
    possible = [n for n in range(1, each + 1) if each % n == 0 and width % n == 0]
    if about.memory is None:
        return 1
    size = state_bytes(config)
    return next((n for n in possible if size / n <= _SHARE_OF_STATE * about.memory), possible[-1])


def _with(config: TrainConfig, given: frozenset[str], chunks: int, remat: str) -> TrainConfig:
    changes = {CHUNKS: chunks, REMAT: remat}
    return dataclasses.replace(config, **{name: value for name, value in changes.items() if name not in given})


def _smaller(config: TrainConfig, plan: Plan, given: frozenset[str], about: Devices) -> TrainConfig | None:
    """Returns a configuration that takes less memory than a plan that does not fit; None where none is left."""
    if REMAT not in given and config.remat != "full":
        return dataclasses.replace(config, remat="full")
    memory = plan.memory
    room = None if memory is None or memory.available is None else memory.available - memory.arguments
    if CHUNKS not in given and memory is not None and room is not None and room > 0:
        times = max(2.0, memory.temporaries / room)
        more = [n for n in range(1, config.group.rows + 1) if config.group.rows % n == 0]
        enough = [n for n in more if n >= times * config.gradient_cache_chunks] or more[-1:]
        if enough[0] > config.gradient_cache_chunks:
            return dataclasses.replace(config, gradient_cache_chunks=enough[0])
    data, fsdp, tensor = config.mesh.resolve(about.count)
    if not any(key.startswith("mesh.") for key in given) and data % (2 * about.slices) == 0 and not (
        config.model.encoder.embed % (2 * fsdp)
    ):  # fmt: skip
        return dataclasses.replace(config, mesh=MeshShape(data // 2, 2 * fsdp, tensor))
    return None


def _of_copies(config: TrainConfig, given: frozenset[str], about: Devices) -> list[dict[str, bool]]:
    """Returns settings of the optimizer that are worth a compilation where devices hold copies of the weights."""
    data, fsdp, _ = config.mesh.resolve(about.count)
    worth = []
    if data > 1 and config.optimizer.name == "adamw" and SPLIT not in given:
        worth.append({"split_moments": True})
    if about.slices > 1 and fsdp == 1 and ONCE not in given:
        worth.append({"sum_gradients_once": True})
    return worth


def _has_room(config: TrainConfig, plan: Plan) -> bool:
    """Returns whether what attention takes and gives would fit besides, all layers of it."""
    assert plan.memory is not None
    encoder, memory = config.model.encoder, plan.memory
    tokens = config.groups * config.group.tokens / plan.devices / config.gradient_cache_chunks
    width = 4 * encoder.heads * encoder.head_dim + encoder.embed
    kept = encoder.layers * tokens * width * (2 if config.dtype == "bfloat16" else 4)
    return memory.available is not None and memory.total + kept <= memory.available


def _seconds(plan: Plan) -> tuple[float, float]:
    if plan.roofline is None:
        return 0.0, 0.0
    return plan.roofline.bound, plan.roofline.one_by_one


def _told(
    recipe: TrainConfig,
    best: tuple[TrainConfig, Plan],
    tried: list[tuple[TrainConfig, Plan]],
    given: frozenset[str],
) -> tuple[str, ...]:
    """Returns what was chosen, as settings of a command, and what else was compiled, a sentence each."""
    config = best[0]
    settings = []
    if GROUPS not in given:
        settings.append(f"{GROUPS}={config.groups}")
    if not any(key.startswith("mesh.") for key in given):
        settings += [f"mesh.data={config.mesh.data}", f"mesh.fsdp={config.mesh.fsdp}"]
        settings += [f"mesh.tensor={config.mesh.tensor}"] if config.mesh.tensor > 1 or recipe.mesh.tensor > 1 else []
    settings += [f"{key}={getattr(config, key)}" for key in (CHUNKS, REMAT) if key not in given]
    settings += _on(config, recipe)
    if not settings:
        return ()
    told = [" ".join(settings)]
    if config.groups != recipe.groups:
        told.append(f"the recipe has batch.groups={recipe.groups}: a step here has {config.groups / recipe.groups:g} "
                    "times its examples")  # fmt: skip
    for one, plan in tried:
        if one is not best[0]:
            what = " ".join([f"also compiled: {CHUNKS}={one.gradient_cache_chunks} {REMAT}={one.remat} "
                             f"mesh.fsdp={one.mesh.fsdp}", *_on(one, recipe)])  # fmt: skip
            if not plan.fits:
                told.append(f"{what} does not fit")
            elif plan.roofline is not None:
                told.append(f"{what}, {plan.roofline.bound:.3g} s at least")
    return tuple(told)


def _on(config: TrainConfig, recipe: TrainConfig) -> list[str]:
    """Returns the settings of the optimizer that were switched on, as a command has them."""
    was, now = (
        {SPLIT: one.optimizer.split_moments, ONCE: one.optimizer.sum_gradients_once} for one in (recipe, config)
    )
    return [f"{key}=true" for key in now if now[key] and not was[key]]
