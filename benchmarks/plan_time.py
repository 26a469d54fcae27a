"""What a plan says of a step's time, against the step, on a CPU whose peak and bandwidth are measured beside it.

    python benchmarks/plan_time.py --out results.json

No datasheet tells what a virtual CPU can do, so the peak is the fastest of some matrix products, and the bandwidth
that of the fastest pass over an array that no cache holds. A plan's operations and traffic by these are the two ends
of its range: the longer of both times, where everything overlaps, and their sum, where nothing does.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from plan_memory import compiled, config_of  # sets JAX's platform, so before JAX is loaded

SIZES = ((4, 512, 80), (6, 512, 64), (12, 768, 8), (24, 1024, 4))  # (layers, embed, rows)


def peak(side: int = 3072) -> float:
    """Measures the operations a second of a product of two float32 matrices, the fastest of ten."""
    import jax
    import jax.numpy as jnp

    product = jax.jit(lambda a, b: jnp.dot(a, b, precision="highest"))
    a = jnp.ones((side, side))
    return 2 * side**3 / min(_seconds(lambda: product(a, a)) for _ in range(10))


def bandwidth(mib: int = 1024) -> float:
    """Measures the bytes a second of one pass that reads and writes an array, the fastest of ten."""
    import jax
    import jax.numpy as jnp

    array = jnp.ones((mib * 2**18,))
    add = jax.jit(lambda x: x + 1)
    return 2 * array.nbytes / min(_seconds(lambda: add(array)) for _ in range(10))


def measure(size: tuple[int, int, int], most: float, fastest: float, steps: int) -> dict[str, Any]:
    """Compares a size's planned range with its steps.

    Args:
        size: Layers, size of the embedding, rows of 128 tokens.
        most: Operations a second.
        fastest: Bytes a second.
        steps: Number of steps that are measured, after one that is not.
    """
    import jax

    from instructor_jax.sharding import make_mesh
    from instructor_jax.train.plan.plan import plan_step

    config = config_of(size)
    plan = plan_step(config, "cpu:1")
    arithmetic, memory = plan.operations / most, plan.traffic / fastest
    with jax.set_mesh(make_mesh(config.mesh)):
        step, make = compiled(config)
        state, batch = make()
        taken = []
        for _ in range(steps + 1):
            began = time.perf_counter()
            state, metrics = step(state, batch)
            jax.block_until_ready((state, metrics))
            taken.append(time.perf_counter() - began)
    layers, embed, rows = size
    return {
        "layers": layers, "embed": embed, "rows": rows, "operations": plan.operations, "traffic": plan.traffic,
        "arithmetic": arithmetic, "memory": memory, "least": max(arithmetic, memory), "sum": arithmetic + memory,
        "measured": statistics.median(taken[1:]), "fastest": min(taken[1:]),
    }  # fmt: skip


def _seconds(call: Callable[[], Any]) -> float:
    import jax

    began = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - began


def main() -> None:
    """Measures all sizes and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="JSON file of the figures")
    parser.add_argument("--sizes", type=int, default=len(SIZES), help="how many of the sizes")
    parser.add_argument("--steps", type=int, default=5, help="how many steps of each")
    parser.add_argument("--mib", type=int, default=1024, help="size of the array that the bandwidth is measured with")
    arguments = parser.parse_args()
    most, fastest = peak(), bandwidth(arguments.mib)
    print(f"products of matrices {most / 1e9:,.0f} Gflop/s, a pass over memory {fastest / 1e9:,.1f} GB/s", flush=True)
    found = []
    for size in SIZES[: arguments.sizes]:
        one = measure(size, most, fastest, arguments.steps)
        found.append(one)
        print(
            f"{one['layers']} layers of {one['embed']}, {one['rows']} rows: {one['least']:.2f} s at least, "
            f"{one['sum']:.2f} s if nothing overlaps; measured {one['measured']:.2f} s, "
            f"{one['measured'] / one['least']:.2f} and {one['measured'] / one['sum']:.2f} times",
            flush=True,
        )
    if arguments.out is not None:
        whole = {"peak": most, "bandwidth": fastest, "steps": found}
        arguments.out.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
