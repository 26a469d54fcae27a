"""Tokens a second of the model alone, without tokenizer: ours by kind of attention."""

from functools import partial

import jax
from gpu_sections.figures import attempt, median_seconds, say
from gpu_sections.work import attention_kinds, cast, model_of, peak_flops, token_batch

from instructor_jax.compilation import compiler_options
from instructor_jax.nn.compute import Attention, Compute
from instructor_jax.nn.model import embed, init_params
from instructor_jax.train.flops import training_flops_per_token

TOKENS = 65536  # of a call, as `encode` makes them on GPUs


def encode_speed(size: str, lengths: tuple[int, ...], tiny: bool) -> None:
    """Measures full rows of each length, one text a row, in bfloat16."""
    model = model_of(size, max(lengths), tiny)
    params = cast(init_params(model, 0), "bfloat16")
    for length in lengths:
        for attention in attention_kinds("bfloat16"):
            attempt(
                f"encode {size} {length} {attention}", partial(_measured, size, model, params, length, attention, tiny)
            )


def _measured(size: str, model, params, length: int, attention: Attention, tiny: bool) -> None:
    rows = 2 if tiny else TOKENS // length
    batch = jax.device_put(token_batch(1, rows, length, 1, rows), jax.devices()[0])
    options = compiler_options(jax.default_backend())
    function = jax.jit(
        partial(embed, model, compute=Compute("bfloat16", attention=attention)), compiler_options=options
    )
    seconds = median_seconds(lambda: function(params, batch).block_until_ready())
    rate, peak = rows * length / seconds, peak_flops()
    operations = training_flops_per_token(model) / 3  # the forward pass is a third
    say(
        f"encode {size}, rows of {length}, ours, {attention}",
        tokens_per_s=rate,
        mfu=peak and operations * rate / peak,
        rows=rows,
    )
