"""Whether this device computes what a CPU computes in float32: vectors, and three training steps."""

from functools import lru_cache, partial
from typing import Any

import jax
import numpy as np
from gpu_sections.figures import attempt, say
from gpu_sections.work import attention_kinds, cast, model_of, pair_batch, token_batch, train_config, training

from instructor_jax import Instructor
from instructor_jax.nn.compute import Attention, Compute
from instructor_jax.nn.model import embed, init_params
from instructor_jax.train.config import TrainConfig

# Sums taken in another order, through 12 layers; and what the 8 bits of bfloat16 leave of a direction.
_FLOAT32, _COSINE = 2e-5, 0.999
# Relative, of three losses: in float32 they agree to about 1e-6 between numbers of devices; bfloat16 rounds to 0.4 %.
_LOSS, _ROUNDED_LOSS = 1e-4, 2e-2
_WORDS = "boiler pressure bread flour court appeal gene protein goal match tax rate cloud rain".split()  # noqa: SIM905


def vectors(tiny: bool) -> None:
    """Compares vectors: of the packaged model through `encode`, and of a base-size model for each kind of attention."""
    cpu, device = jax.devices("cpu")[0], jax.devices()[0]
    attempt("encode, packaged model", partial(_packaged, cpu, device, tiny))
    model = model_of("base", 512 if not tiny else 128, tiny)
    batch = token_batch(1, 4, model.max_length, 3, 12, full=False)
    with jax.default_device(cpu):
        params = jax.device_get(init_params(model, 0))
        golden = np.asarray(jax.jit(partial(embed, model))(params, batch))
    for dtype in ("float32", "bfloat16"):
        for attention in attention_kinds(dtype):
            attempt(
                f"embed base {dtype} {attention}", partial(_embedded, model, params, batch, golden, dtype, attention)
            )


def _packaged(cpu: Any, device: Any, tiny: bool) -> None:
    random = np.random.default_rng(0)
    counts = (1, 3, 8, 20, 60, 150, 300, 480) if not tiny else (1, 8)
    texts = [" ".join(random.choice(_WORDS, count)) for count in counts for _ in range(4)]
    options = {"instruction": "Represent the text: ", "on_overflow": "truncate"}
    golden = Instructor.from_pretrained(devices=[cpu]).encode(texts, **options)
    for dtype in ("float32", "bfloat16"):
        _compared(
            f"encode, packaged model, {dtype}",
            dtype,
            Instructor.from_pretrained(dtype=dtype, devices=[device]).encode(texts, **options),
            golden,
        )


def _embedded(model: Any, params: Any, batch: Any, golden: np.ndarray, dtype: str, attention: Attention) -> None:
    placed = cast(jax.device_put(params, jax.devices()[0]), dtype)
    found = jax.jit(partial(embed, model, compute=Compute(dtype, attention=attention)))(placed, batch)
    _compared(f"embed, base size, {dtype}, {attention}", dtype, np.asarray(found, np.float32)[0], golden[0])


def _compared(what: str, dtype: str, found: np.ndarray, golden: np.ndarray) -> None:
    difference = float(np.abs(found - golden).max())
    cosine = float((found * golden).sum(-1).min())
    good = difference < _FLOAT32 if dtype == "float32" else cosine > _COSINE
    say(what, max_difference=difference, min_cosine=cosine, texts=len(found), ok=bool(good))


def steps(tiny: bool) -> None:
    """Compares the losses and gradient norms of three steps, without dropout and with it, and in bfloat16."""
    length = 128 if tiny else 256
    model = model_of("base", length, tiny)
    for dropout in (False, True):
        config = train_config(model, 6, length, 6, dropout=dropout)
        attempt(f"three steps, float32, dropout {dropout}", partial(_three_steps, config, config, _LOSS))
    exact = train_config(model, 6, length, 6, dropout=False)
    for attention in attention_kinds("bfloat16"):
        config = train_config(model, 6, length, 6, dropout=False, dtype="bfloat16", attention=attention)
        attempt(f"three steps, bfloat16, {attention}", partial(_three_steps, exact, config, _ROUNDED_LOSS))


def _three_steps(on_cpu: TrainConfig, on_device: TrainConfig, bound: float) -> None:
    runs = {"cpu": _steps_on(jax.devices("cpu")[0], on_cpu), "device": _steps_on(jax.devices()[0], on_device)}
    losses = {name: [loss for loss, _ in figures] for name, figures in runs.items()}
    apart = max(abs(a - b) / abs(a) for a, b in zip(losses["cpu"], losses["device"], strict=True))
    say(
        f"three training steps, {on_device.dtype}, {on_device.attention}, dropout {on_device.dropout}, v. CPU float32",
        losses=losses,
        gradient_norms={name: [norm for _, norm in figures] for name, figures in runs.items()},
        max_relative_difference=apart,
        ok=apart < bound,
    )


@lru_cache  # what the CPU computes is compared with several times
def _steps_on(device: Any, config: TrainConfig) -> list[tuple[float, float]]:
    """Returns loss and gradient norm of three steps."""
    run, figures = training(config, device), []
    batch = jax.device_put(pair_batch(config, per_row=3), device)
    with jax.set_mesh(run.mesh):
        for _ in range(3):
            run.state, metrics = run.step(run.state, batch)
            figures.append((float(metrics.loss), float(metrics.gradient_norm)))
    return figures
