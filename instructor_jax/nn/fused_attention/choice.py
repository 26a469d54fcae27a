"""When attention is computed by the fused kernels, and with how many rows to a program.

The kernels are for TPUs. CPUs use einsum, and so do GPUs unless "cudnn" is asked for, which has not been measured.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from instructor_jax.backbones.configuration import BackboneConfig, softcap
from instructor_jax.nn.compute import Compute
from instructor_jax.nn.fused_attention.plan import BLOCK, KernelPlan, vmem_bytes
from instructor_jax.sharding import axis_shards

_VMEM_BUDGET = 12 << 20  # of the 16 MiB that a kernel may use on every TPU generation; the rest is the compiler's


def choose_attention(
    compute: Compute,
    config: BackboneConfig,
    segments: Int[Array, "groups rows len"],
    row_keys: Key[Array, "groups rows"] | None = None,
) -> KernelPlan | None:
    """The kernels' plan for rows of this shape under the mesh in force; None for einsum.

    "auto" takes the kernels on TPUs wherever they can compute the call, and rows are whole blocks of 128 tokens. TPUs
    are recognised by the mesh of `jax.set_mesh` (which also is how a program is compiled for TPUs that are not
    there), without one by JAX's default backend where it has a single device.

    Args:
        compute: what the caller asks for.
        config: of the encoder.
        segments: of the call; only the shape counts.
        row_keys: the keys of dropout; None for inference.

    Raises:
        ValueError: "fused" is asked for and impossible.
    """
    attention, dtype = compute.attention, compute.dtype
    if attention not in ("auto", "einsum", "fused"):
        raise ValueError(f"attention={attention!r} must be auto, einsum, fused or cudnn.")
    groups, rows, length = segments.shape
    platform = platform_in_force()
    if attention == "einsum" or (attention == "auto" and (platform != "tpu" or length % BLOCK)):
        return None
    dropout = 0.0 if row_keys is None else config.attention_dropout
    obstacle = _obstacle(config, dtype, groups)
    if obstacle is None:
        program_rows, interpret = groups // axis_shards("batch") * rows, platform != "tpu"
        plan = KernelPlan(length, program_rows, dropout, interpret, softcap(config) or 0.0)
        plan = _fitted(plan, config.head_dim, dtype.itemsize)
        if plan is not None:
            return plan
        obstacle = f"rows of {length} tokens in {dtype} do not fit on-chip memory"
    if attention == "fused":
        raise ValueError(f"attention='fused' is impossible here: {obstacle}; use 'auto' or 'einsum'.")
    return None


def platform_in_force() -> str:
    """Returns the platform of the devices that the program is compiled for, as far as it is known while tracing."""
    mesh = jax.sharding.get_abstract_mesh()
    if not mesh.empty and mesh.abstract_device is not None:
        return mesh.abstract_device.platform
    # without a mesh a kernel would be given whole arrays, however they are sharded
    return jax.default_backend() if jax.device_count() == 1 else "unknown"


def _obstacle(config: BackboneConfig, dtype: np.dtype, groups: int) -> str | None:
    """Why the kernels cannot compute a call, if they cannot."""
    if dtype not in (jnp.float32, jnp.bfloat16):
        return f"the kernels compute in float32 and bfloat16, not in {dtype}"
    if groups % axis_shards("batch"):
        return f"{groups} groups are no multiple of the {axis_shards('batch')} devices that hold different examples"
    if config.heads % axis_shards("act_heads"):
        return f"{config.heads} heads are no multiple of the {axis_shards('act_heads')} devices that share them"
    return None


def _fitted(plan: KernelPlan, head_dim: int, itemsize: int) -> KernelPlan | None:
    """The plan with as many rows to a program as fit, if one does: fewer programs, fewer waits between them."""
    for rows in range(plan.program_rows, 0, -1):
        smaller = dataclasses.replace(plan, program_rows=rows)
        if plan.program_rows % rows == 0 and vmem_bytes(smaller, head_dim, itemsize) <= _VMEM_BUDGET:
            return smaller
    return None
