"""What a plan says of memory on a CPU, against how much a fresh process really grows when the step runs.

    python benchmarks/plan_memory.py --out results.json

Each size has a process of its own: it plans the step, compiles it, makes state and batch, runs two steps, and reads the
highest resident memory since the compilation from the kernel (Linux only).
"""

import argparse
import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ.setdefault("INSTRUCTOR_JAX_CACHE", "off")

# (layers, embed, rows): the first are mostly activations, the last mostly state
SIZES = ((4, 512, 80), (6, 512, 64), (24, 1024, 4))


def config_of(size: tuple[int, int, int]) -> Any:
    """Returns the configuration of a step of a size, on packed rows of 128 tokens."""
    from instructor_jax.config import EncoderConfig, ModelConfig
    from instructor_jax.train.config import TrainConfig
    from instructor_jax.train.data.group_packing import GroupShape
    from instructor_jax.train.objective import LossConfig

    layers, embed, rows = size
    encoder = EncoderConfig(vocab=8192, embed=embed, layers=layers, heads=8, head_dim=embed // 8, ffn=4 * embed)
    return TrainConfig(
        model=ModelConfig(encoder, 256, max_length=128),
        group=GroupShape(rows, 128, max(1, rows // 3), 1),
        loss=LossConfig("in_batch", 0.05),
        dropout=False,
    )


def compiled(config: Any) -> tuple[Any, Any]:
    """Returns the compiled step of a configuration, and what makes its state and its batch; under `jax.set_mesh`."""
    import jax
    import jax.numpy as jnp

    from instructor_jax.train.compiled_step import compiled_step
    from instructor_jax.train.plan.program import abstract_batch
    from instructor_jax.train.step import abstract_state

    mesh = jax.sharding.get_mesh()
    shapes = (abstract_state(config), abstract_batch(config, mesh))
    step = compiled_step(config, mesh).lower(*shapes).compile()
    make = jax.jit(lambda: jax.tree.map(lambda one: jnp.ones(one.shape, one.dtype), shapes)).lower().compile()
    return step, make


def measure(size: tuple[int, int, int]) -> dict[str, Any]:
    """Planned and measured bytes of one size; to be called in a fresh process."""
    import jax

    from instructor_jax.sharding import make_mesh
    from instructor_jax.train.plan.plan import plan_step

    config = config_of(size)
    plan = plan_step(config, "cpu:1")
    assert plan.memory is not None
    with jax.set_mesh(make_mesh(config.mesh)):
        step, make = compiled(config)
        before = _resident()
        state, batch = make()
        for _ in range(2):
            state, metrics = step(state, batch)
        jax.block_until_ready((state, metrics))
    grown = _highest() - before
    # the state stays; what the second step makes lies where the first one's lay
    planned, (layers, embed, rows) = plan.memory.total, size
    return {
        "layers": layers, "embed": embed, "rows": rows, "planned": planned, "measured": grown,
        "difference": planned / grown - 1,
    }  # fmt: skip


def _resident() -> int:
    """Resident bytes now; the highest is forgotten."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _highest() -> int:
    return _status("VmHWM")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1]) * 1024


def main() -> None:
    """Measures all sizes and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    parser.add_argument("--sizes", type=int, default=len(SIZES), help="how many of the sizes")
    arguments = parser.parse_args()
    found = []
    for size in SIZES[: arguments.sizes]:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            found.append(pool.apply(measure, (size,)))
        one = found[-1]
        print(
            f"{one['layers']} layers of {one['embed']}, {one['rows']} rows: planned {one['planned'] / 2**30:.3f} GiB, "
            f"measured {one['measured'] / 2**30:.3f} GiB ({one['difference']:+.1%})",
            flush=True,
        )
    if arguments.out is not None:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
