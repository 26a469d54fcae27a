"""Plans: what a training step or a call of encode takes on devices that need not be there, told by their own compiler.

Nothing here models the compiler. The program is the one that runs (`plan_program`), compiled ahead of time; memory is
what the compiler says, operations, traffic and collectives are counted in the program it made.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from instructor_jax.config import ModelConfig
from instructor_jax.nn.compute import Compute
from instructor_jax.sharding import MeshShape, make_mesh
from instructor_jax.text.buckets import Bucket

from ..chips import chip_of
from ..config import TrainConfig
from ..flops import training_flops_per_token
from ..own_loss import OwnLoss
from .buffers import largest_arrays, largest_buffers, sizes_on
from .cache import PlanCache
from .checks import sharding_faults
from .collectives import Collective, collectives
from .costs import Costs, costs
from .hlo import parse_hlo
from .memory import available_memory, memory_of, memory_of_refused
from .program import Program, lowered_encode, lowered_step
from .record import Exchange, Plan
from .roofline import Work, roofline
from .topology import devices_of

_SHOWN = 12  # kinds of collectives that a plan keeps, of those within slices and of those between them


def plan_step(
    config: TrainConfig,
    topology: str,
    fill: float = 1.0,
    loss: OwnLoss | None = None,
    options: Mapping[str, str | bool | int] = MappingProxyType({}),
) -> Plan:
    """Plans the training step of a run on a topology.

    Args:
        config: Configuration of the run.
        topology: Name of the devices, as `topology.devices_of` takes it.
        fill: Fraction of the tokens that are no padding, 0 to 1.
        loss: Loss in the place of the configured one.
        options: Options of the compiler, over those of this package; they stand among the plan's settings.

    Raises:
        ValueError: No such topology, batch or parameters cannot be divided among its devices, or its compiler does not
            take the options.
        ImportError: The compiler of the topology is absent.
    """
    devices = devices_of(topology)
    mesh = make_mesh(config.mesh, devices)
    config = config.suited_to(mesh)
    program = lowered_step(config, mesh, loss, options)
    tokens = config.groups * config.group.tokens
    plan = Plan(
        "training step", topology, devices[0].device_kind, len(devices), dict(mesh.shape),
        step_settings(config) | dict(options), None, fill=fill,
    )  # fmt: skip
    useful = training_flops_per_token(config.model) * tokens * fill
    check = functools.partial(sharding_faults, config=config, mesh=mesh)
    subject = Subject(program, mesh, config.model, config.group.length, Work(tokens, useful))
    return examined(plan, subject, check)


def plan_encode(
    model: ModelConfig, compute: Compute, topology: str, shape: MeshShape, bucket: Bucket, groups: int
) -> Plan:
    """Plans a call of bulk inference on a topology, with sequences that are packed full.

    Args:
        model: Model that encodes.
        compute: How it computes; its type is that of the weights, too.
        topology: Name of the devices, as `topology.devices_of` takes it.
        shape: Shape of the mesh.
        bucket: Number of sequences of a group, and their length.
        groups: Number of groups of a call; a multiple of the devices that hold different texts.

    Raises:
        ValueError: No such topology, or groups or weights cannot be divided among its devices.
        ImportError: The compiler of the topology is absent.
    """
    devices = devices_of(topology)
    mesh = make_mesh(shape, devices)
    program = lowered_encode(model, compute, mesh, bucket, groups)
    settings = {
        **model_settings(model), "groups": groups, "rows": bucket.rows, "length": bucket.length,
        "dtype": str(compute.dtype), "attention": compute.attention,
    }  # fmt: skip
    plan = Plan("encode", topology, devices[0].device_kind, len(devices), dict(mesh.shape), settings, None)
    tokens = groups * bucket.rows * bucket.length
    useful = training_flops_per_token(model) / 3 * tokens  # the forward pass is a third
    return examined(plan, Subject(program, mesh, model, bucket.length, Work(tokens, useful)))


def step_settings(config: TrainConfig) -> dict[str, Any]:
    """Returns the settings that decide the shape of a step."""
    group = config.group
    return {
        **model_settings(config.model), "groups": config.groups, "rows": group.rows, "length": group.length,
        "examples": config.groups * group.examples, "negatives": group.negatives,
        "chunks": config.gradient_cache_chunks, "remat": config.remat, "dtype": config.dtype,
        "optimizer": config.optimizer.name, "loss": config.loss.name,
        "dropout": config.dropout, "attention": config.attention,
    }  # fmt: skip


def model_settings(model: ModelConfig) -> dict[str, Any]:
    """Returns the settings that decide the shape of a model."""
    names = ("vocab", "embed", "layers", "heads", "head_dim", "ffn")
    return {name: getattr(model.encoder, name) for name in names} | {"dim": model.embedding_dim}


class Subject(NamedTuple):
    """A program that is planned, with what is known of it; `work` is None where it computes nothing."""

    program: Program
    mesh: Mesh
    model: ModelConfig
    length: int
    work: Work | None


def examined(
    plan: Plan, subject: Subject, check: Callable[[list[Collective], Costs], list[str]] = lambda *_: []
) -> Plan:
    """Returns the plan with all that the compiler tells, from the cache if the same program was planned before.

    Args:
        plan: What is known of the program before it is compiled.
        subject: The program.
        check: Function that finds the faults of its sharding.
    """
    program, mesh, model = subject.program, subject.mesh, subject.model
    cache = PlanCache(program.lowered.as_text(), plan)
    found = cache.read()
    if found is not None:
        return found
    devices = list(mesh.devices.flat)
    available = available_memory(devices)
    sizes, began = sizes_on(mesh, model.encoder, subject.length, model.embedding_dim), time.perf_counter()
    try:
        compiled = program.lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        memory = memory_of_refused(str(error), program.arguments, available)
        if memory is None:
            raise
        seconds, buffers = time.perf_counter() - began, tuple(largest_arrays(program.lowered.as_text(), sizes))
        return cache.write(dataclasses.replace(plan, memory=memory, buffers=buffers, seconds=seconds))
    seconds = time.perf_counter() - began
    hlo = parse_hlo(_text_of(compiled))
    found_costs, found_collectives = costs(hlo), collectives(hlo, mesh.size)
    chip = chip_of(plan.kind)
    return cache.write(
        dataclasses.replace(
            plan,
            memory=memory_of(compiled, available),
            buffers=tuple(largest_buffers(hlo, sizes)),
            operations=found_costs.all_flops,
            traffic=found_costs.traffic,
            opaque=sum(found_costs.opaque.values()),
            exchanges=tuple(exchanges(found_collectives)),
            roofline=chip and subject.work and roofline(chip, devices, found_costs, found_collectives, subject.work),
            faults=tuple(check(found_collectives, found_costs)),
            seconds=seconds,
        )
    )


def _text_of(compiled: jax.stages.Compiled) -> str:
    """Returns the compiled program as text.

    Raises:
        ValueError: Compiler and JAX are of different times, and JAX cannot read what the compiler made.
    """
    try:
        return compiled.as_text() or ""
    except jax.errors.JaxRuntimeError as error:
        raise ValueError(
            f"JAX {jax.__version__} cannot read the compiled program ({str(error).splitlines()[0]}): it and the TPU "
            "compiler do not belong together. Install the one that JAX asks for: pip install 'instructor-jax[tpu]'."
        ) from error


def exchanges(found: list[Collective]) -> list[Exchange]:
    """Joins collectives of the same kind among as many devices with the same arrays; small ones are joined too."""
    alike: dict[tuple[str, str, int, int, int], list[Collective]] = {}
    for one in found:
        arrays = ", ".join(str(shape) for shape in one.shapes[:3]) + (", ..." if len(one.shapes) > 3 else "")
        alike.setdefault((one.kind, arrays, one.participants, one.slices, one.bytes), []).append(one)
    rows = [
        Exchange(kind, arrays, participants, sum(one.runs for one in same), size, sum(one.sent for one in same), slices)
        for (kind, arrays, participants, slices, size), same in alike.items()
    ]
    rows.sort(key=lambda one: -one.sent)
    far, near = ([one for one in rows if (one.slices > 1) is between] for between in (True, False))
    shown, rest = far[:_SHOWN] + near[:_SHOWN], far[_SHOWN:] + near[_SHOWN:]
    for kind, slices in dict.fromkeys((one.kind, one.slices) for one in rest):
        same = [one for one in rest if (one.kind, one.slices) == (kind, slices)]
        total, runs = sum(one.sent for one in same), sum(one.runs for one in same)
        size = sum(one.bytes * one.runs for one in same) // max(1, runs)
        shown.append(Exchange(kind, f"{len(same)} others", max(one.participants for one in same), runs, size, total,
                              slices))  # fmt: skip
    return shown
