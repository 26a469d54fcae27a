"""GPUs that need not be there: described from a table, and compiled for by NVIDIA's compiler on any Linux machine."""

import dataclasses
import importlib.metadata
import importlib.util
import logging
import tomllib
from functools import lru_cache
from pathlib import Path

import jax

from instructor_jax.sharding import Device

logger: logging.Logger = logging.getLogger(__name__)

_TABLE = Path(__file__).with_name("gpus.toml")
_PLUGIN = "jax_cuda13_plugin"
MOST = 8  # GPUs of one machine, joined by NVLink; collectives between machines are not described
_CUDNN = "9.12.0"  # what jax-cuda13-plugin 0.10 was made for; the version of an installed one counts
# What every data centre card since Ampere has alike (CUDA C++ Programming Guide, table of compute capabilities).
_ALIKE = """
  threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: 2048 fpus_per_core: 128
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
  shared_memory_per_block: 49152 shared_memory_per_block_optin: 232448 shared_memory_per_core: 233472
"""


@dataclasses.dataclass(frozen=True)
class Gpu:
    """A card; the comments of `gpus.toml` explain the fields and name their origin."""

    kind: str
    compute_capability: tuple[int, int]
    cores: int
    memory: int
    bandwidth: int
    l2_cache: int
    clock: float


@lru_cache
def gpus() -> dict[str, Gpu]:
    """Returns the cards by the names that topologies have."""
    table = tomllib.loads(_TABLE.read_text(encoding="utf-8"))
    return {
        name: Gpu(**{**fields, "compute_capability": tuple(fields["compute_capability"])})
        for name, fields in table.items()
    }


def memory_of_kind(kind: str) -> int | None:
    """Returns the bytes of memory of a described card; None for a kind that no table has."""
    return next((gpu.memory for gpu in gpus().values() if gpu.kind == kind), None)


def described_gpus(name: str, count: int) -> list[Device]:
    """Returns the devices of one machine with so many cards.

    Args:
        name: Key of `gpus`.
        count: Number of cards, 1 to `MOST`.

    Raises:
        ImportError: NVIDIA's compiler or JAX's plugin for it is absent; names the extra.
        ValueError: The plugin does not take the description.
    """
    if importlib.util.find_spec(_PLUGIN) is None:
        raise ImportError(
            f"planning for {name} needs JAX's plugin for CUDA and NVIDIA's compiler, which run on any Linux machine: "
            "pip install 'instructor-jax[cuda-plan]'"
        )
    from jax.experimental import topologies

    level = logging.root.manager.disable
    logging.disable(logging.ERROR)  # the plugin looks for cards of this machine, and reports at length that it has none
    try:
        described = topologies.get_topology_desc(
            platform="cuda", target_config=target_config(gpus()[name]), topology=f"1x1x{count}"
        )
    except (jax.errors.JaxRuntimeError, NotImplementedError, ValueError, RuntimeError) as error:
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"JAX's plugin for CUDA does not describe {name} ({told}); it must be of JAX's own version, "
            f"{jax.__version__}: pip install 'instructor-jax[cuda-plan]' 'jax-cuda13-plugin=={jax.__version__}'"
        ) from error
    finally:
        logging.disable(level)
    return list(described.devices)


def target_config(gpu: Gpu) -> str:
    """Returns the description that XLA compiles for: a GpuTargetConfigProto as text."""
    major, minor = gpu.compute_capability
    cudnn = dict(zip(("major", "minor", "patch"), _cudnn_version(), strict=True))
    return f"""gpu_device_info {{{_ALIKE}
  core_count: {gpu.cores} clock_rate_ghz: {gpu.clock} l2_cache_size: {gpu.l2_cache}
  device_memory_size: {gpu.memory} memory_bandwidth: {gpu.bandwidth}
  cuda_compute_capability {{ major: {major} minor: {minor} }}
}}
platform_name: "CUDA"
dnn_version_info {{ {" ".join(f"{name}: {number}" for name, number in cudnn.items())} }}
runtime_version {{ major: 13 minor: 0 patch: 0 }}
device_description_str: "{gpu.kind}"
"""


def _cudnn_version() -> tuple[int, ...]:
    try:
        version = importlib.metadata.version("nvidia-cudnn-cu13")
    except importlib.metadata.PackageNotFoundError:
        version = _CUDNN
    return tuple(int(part) for part in version.split(".")[:3])
