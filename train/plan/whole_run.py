"""What a run needs besides its steps: the evaluation between them, and the export of the model at its end.

Both find the state as the step left it: the weights split over the devices, and the optimizer's state beside them. A
run whose step fits and whose export does not would train to its end for nothing.
"""

import dataclasses
import math
from typing import Any

import jax
import ml_dtypes
import numpy as np
from jax.sharding import Mesh

from instructor_jax.inference.engine import TOKENS_PER_CALL
from instructor_jax.nn.compute import Compute
from instructor_jax.nn.model import abstract_params, param_shardings
from instructor_jax.sharding import MeshShape, data_shards, make_mesh
from instructor_jax.text.buckets import Bucket, PackingConfig, bucket_ladder

from ..config import TrainConfig
from ..export.sharded_pieces import layer_on, whole_on
from .program import Program, optimizer_bytes, weight_bytes
from .record import Plan
from .topology import devices_of


def plan_evaluation(config: TrainConfig, topology: str) -> Plan:
    """Plans the largest call of `encode` with which a run evaluates its weights, in float32 and where they lie.

    Args:
        config: Configuration of the run.
        topology: Name of the devices, as `topology.devices_of` takes it.

    Raises:
        ValueError: No such topology, or the weights cannot be divided among its devices.
        ImportError: The compiler of the topology is absent.
    """
    from .plan import plan_encode  # imports the step

    mesh = make_mesh(config.mesh, devices_of(topology))
    platform = mesh.devices.flat[0].platform
    packing = PackingConfig(config.model.max_length, TOKENS_PER_CALL.get(platform, TOKENS_PER_CALL["gpu"]))
    largest: Bucket = max(bucket_ladder(packing), key=lambda one: (one.rows * one.length, one.length))
    shape = MeshShape(**mesh.shape, slices=config.mesh.slices)
    plan = plan_encode(config.model, Compute(), topology, shape, largest, data_shards(mesh))
    return _with(plan, "evaluation", beside=optimizer_bytes(config, mesh))


def plan_export(config: TrainConfig, topology: str, kind: str) -> Plan:
    """Plans how the weights come to the first host, a layer of a parameter at a time; the largest one is told.

    Args:
        config: Configuration of the run.
        topology: Name of the devices, as `topology.devices_of` takes it.
        kind: Floating-point type of the written weights.

    Raises:
        ValueError: No such topology, or the weights cannot be divided among its devices.
        ImportError: The compiler of the topology is absent.
    """
    from .plan import Subject, examined, model_settings  # imports the step

    devices = devices_of(topology)
    mesh = make_mesh(config.mesh, devices)
    settings = {**model_settings(config.model), "export": kind}
    state = weight_bytes(config.model, mesh) + optimizer_bytes(config, mesh)
    plans = []
    for program, piece in _largest_pieces(config, mesh):
        plan = Plan("export", topology, devices[0].device_kind, len(devices), dict(mesh.shape), settings, None)
        plan = examined(plan, Subject(program, mesh, config.model, config.group.length, None))
        # as it comes from the device, converted, and laid out as it is written
        written = np.dtype(ml_dtypes.bfloat16 if kind == "bfloat16" else kind).itemsize
        host = piece * (np.dtype(np.float32).itemsize + 2 * written)
        plans.append(_with(plan, "export", beside=state - program.arguments, host=host))
    return max(plans, key=lambda plan: plan.memory.total if plan.memory else math.inf)


def _largest_pieces(config: TrainConfig, mesh: Mesh) -> list[tuple[Program, int]]:
    """Returns the programs that put the largest pieces together, one layer and a whole parameter, and their numbers."""
    leaves: dict[bool, list[Any]] = {True: [], False: []}
    found = jax.tree_util.tree_leaves_with_path(abstract_params(config.model))
    for (path, leaf), place in zip(found, jax.tree.leaves(param_shardings(config.model, mesh)), strict=True):
        leaves["layers" in jax.tree_util.keystr(path)].append(
            jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place)
        )
    programs = []
    for layered, candidates in leaves.items():
        if not candidates:
            continue
        leaf = max(candidates, key=lambda one: one.size // (one.shape[0] if layered else 1))
        number = jax.ShapeDtypeStruct((), np.int32)
        lowered = layer_on(mesh).lower(leaf, number) if layered else whole_on(mesh).lower(leaf)
        size = math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
        programs.append((Program(lowered, size), leaf.size // (leaf.shape[0] if layered else 1)))
    return programs


def _with(plan: Plan, what: str, beside: int, host: int = 0) -> Plan:
    memory = None if plan.memory is None else dataclasses.replace(plan.memory, beside=beside)
    return dataclasses.replace(plan, what=what, memory=memory, host=host)
