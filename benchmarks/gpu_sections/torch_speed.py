"""The same for PyTorch: transformers' T5 encoder, with its kinds of attention, several batches, and compiled."""

from functools import partial
from typing import Any

from gpu_sections.encode_speed import TOKENS
from gpu_sections.figures import attempt, median_seconds, say
from gpu_sections.work import model_of, peak_flops

from instructor_jax.train.flops import training_flops_per_token

_ROWS = (32, 128)  # besides as many as ours


def torch_speed(size: str, lengths: tuple[int, ...], tiny: bool) -> None:
    """Measures full rows, one text a row, in bfloat16; the best batch counts. Compiled for the first length alone."""
    try:
        import torch
        import transformers  # noqa: F401
    except ImportError as error:
        say(f"PyTorch {size}", skipped=f"{error.name or error} is absent")
        return
    for length in lengths:
        for attention, compiled in (("sdpa", False), ("sdpa", True), ("eager", False)):
            if compiled and (tiny or length != lengths[0]):
                continue
            name = f"{attention}, compiled" if compiled else attention
            attempt(f"PyTorch {size} {length} {name}", partial(_measured, size, length, attention, compiled, tiny))
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def _measured(size: str, length: int, attention: str, compiled: bool, tiny: bool) -> None:
    import torch

    config = model_of(size, length, tiny)
    model: Any = _torch_model(config, attention)
    if compiled:
        model = torch.compile(model)
    rates: dict[int, float] = {}
    for rows in (2,) if tiny else sorted({*_ROWS, TOKENS // length}):
        ids = torch.randint(2, 400, (rows, length), device=model.device)
        mask = torch.ones_like(ids)
        try:
            rates[rows] = rows * length / median_seconds(partial(_forward, model, ids, mask), 3)
        except torch.cuda.OutOfMemoryError:
            break
    best = max(rates, key=lambda rows: rates[rows])
    peak, operations = peak_flops(), training_flops_per_token(config) / 3
    say(
        f"encode {size}, rows of {length}, PyTorch, {attention}{', compiled' if compiled else ''}",
        tokens_per_s=rates[best],
        mfu=peak and operations * rates[best] / peak,
        rows=best,
        by_rows={str(rows): round(rate) for rows, rate in rates.items()},
        used=str(getattr(model.config, "_attn_implementation", "")),
    )


def _torch_model(config: Any, attention: str) -> Any:
    import torch
    from transformers import T5Config, T5EncoderModel

    encoder = config.encoder
    settings = T5Config(
        vocab_size=encoder.vocab, d_model=encoder.embed, d_kv=encoder.head_dim, d_ff=encoder.ffn,
        num_layers=encoder.layers, num_heads=encoder.heads, feed_forward_proj="relu",
    )  # fmt: skip
    model: Any = T5EncoderModel._from_config(settings, attn_implementation=attention, dtype=torch.bfloat16)
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu")


def _forward(model: Any, ids: Any, mask: Any) -> None:
    import torch

    with torch.inference_mode():
        model(input_ids=ids, attention_mask=mask).last_hidden_state.mean(1)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
