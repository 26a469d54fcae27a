"""Tokens a second of the training step, its memory as planned and as measured, and a very large batch."""

import time
from typing import Any

import jax
from gpu_sections.figures import median_seconds, say
from gpu_sections.work import attention_kinds, memory_peak_gib, model_of, pair_batch, peak_flops, train_config, training

from instructor_jax.train.flops import training_flops_per_token


def train_speed(size: str, rows: int, remat: str, attention: str, tiny: bool) -> None:
    """Measures a step in bfloat16 on full rows of 512 tokens, three texts a row; with einsum, dropout included."""
    if attention not in attention_kinds("bfloat16") and not tiny:
        say(f"train {size}, remat={remat}, {attention}", skipped="for NVIDIA GPUs")
        return
    rows, length = (6, 128) if tiny else (rows, 512)
    settings: dict[str, Any] = {"dtype": "bfloat16", "remat": remat, "attention": attention}
    run = training(train_config(model_of(size, length, tiny), rows, length, rows, **settings), jax.devices()[0])
    batch = jax.device_put(pair_batch(run.config, per_row=3), jax.devices()[0])
    with jax.set_mesh(run.mesh):
        compiled, seconds = _compiled(run, batch)

        def step() -> None:
            run.state, metrics = compiled(run.state, batch)
            metrics.loss.block_until_ready()

        taken = median_seconds(step)
    tokens, peak = run.config.group.tokens, peak_flops()
    say(
        f"train {size}, remat={remat}, {attention}",
        dropout=run.config.dropout,
        tokens_per_s=tokens / taken,
        mfu=peak and training_flops_per_token(run.config.model) * tokens / taken / peak,
        rows=rows,
        compile_s=seconds,
        planned_gib=_planned_gib(compiled),
        measured_gib=memory_peak_gib(),
    )


def large_batch(triples: int, attention: str, tiny: bool) -> None:
    """Makes one step of very many triples, 16 texts to a row of 512 tokens: memory must not grow with their square."""
    triples, length, chunks = (96, 128, 3) if tiny else (triples, 512, 128)
    rows = triples * 3 // 16 // chunks * chunks
    settings: dict[str, Any] = {
        "dtype": "bfloat16",
        "remat": "full",
        "gradient_cache_chunks": chunks,
        "attention": attention,
    }
    run = training(train_config(model_of("base", length, tiny), rows, length, triples, **settings), jax.devices()[0])
    batch = jax.device_put(pair_batch(run.config, per_row=16), jax.devices()[0])
    with jax.set_mesh(run.mesh):
        compiled, seconds = _compiled(run, batch)
        began = time.perf_counter()
        run.state, metrics = compiled(run.state, batch)
        loss = float(metrics.loss)
    say(
        f"{triples} triples in one step, base, {attention}",
        seconds=time.perf_counter() - began,
        loss=loss,
        compile_s=seconds,
        planned_gib=_planned_gib(compiled),
        measured_gib=memory_peak_gib(),
    )


def _compiled(run: Any, batch: Any) -> tuple[Any, float]:
    began = time.perf_counter()
    compiled = run.step.lower(run.state, batch).compile()
    return compiled, time.perf_counter() - began


def _planned_gib(compiled: Any) -> float | None:
    told = compiled.memory_analysis()
    if told is None:
        return None
    kept = told.argument_size_in_bytes + told.output_size_in_bytes - told.alias_size_in_bytes
    return (kept + told.temp_size_in_bytes) / 2**30
