"""What this card reaches at best, by its own measure: large matrix products, and copies within its memory."""

from functools import partial

import jax
import jax.numpy as jnp
from gpu_sections.figures import attempt, median_seconds, say
from gpu_sections.work import peak_flops


def ceilings(tiny: bool) -> None:
    """Measures products in bfloat16 and in float32 of full precision, and the bandwidth of memory."""
    for dtype in ("bfloat16", "float32"):
        attempt(f"product {dtype}", partial(_product, dtype, 256 if tiny else 8192))
    attempt("memory", partial(_memory, 2**20 if tiny else 2**30))


def _product(dtype: str, side: int) -> None:
    x = jax.random.normal(jax.random.key(0), (side, side), jnp.dtype(dtype))
    precision = jax.lax.Precision.HIGHEST if dtype == "float32" else None
    multiply = jax.jit(partial(jnp.matmul, precision=precision))
    rate = 2 * side**3 / median_seconds(lambda: multiply(x, x).block_until_ready())
    peak = peak_flops() if dtype == "bfloat16" else None
    say(f"ceiling: product in {dtype}", tflops=rate / 1e12, side=side, share_of_datasheet=peak and rate / peak)


def _memory(size: int) -> None:
    x = jnp.zeros(size // 4, jnp.float32)
    add = jax.jit(lambda x: x + 1)
    seconds = median_seconds(lambda: add(x).block_until_ready())
    say("ceiling: memory", gb_per_s=2 * size / seconds / 1e9, bytes=size)
