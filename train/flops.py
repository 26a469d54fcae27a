"""How much arithmetic training takes, and what share of the device's peak a run reaches (MFU), on real tokens only."""

import jax

from instructor_jax.config import ModelConfig, parameter_count

# Dense bfloat16 peak of one device as JAX counts them, by the beginning of its name; from the makers' datasheets:
# cloud.google.com/tpu/docs (v4 275, v5e 197, v5p 459, v6e 918 TFLOP/s a chip), nvidia.com (A100 312, H100 and H200 SXM
# 989 without sparsity).
_PEAK = {
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5e": 197e12,
    "TPU v5p": 459e12,
    "TPU v5": 459e12,
    "TPU v6 lite": 918e12,
    "TPU v6e": 918e12,
    "NVIDIA A100": 312e12,
    "NVIDIA H100": 989e12,
    "NVIDIA H200": 989e12,
}


def training_flops_per_token(config: ModelConfig) -> float:
    """Floating-point operations of the forward and backward pass per token: 6 for each weight of a matrix product.

    The token table is looked up, the projection is per text; neither is counted. Nor are attention's scores, whose
    number depends on the texts: 11 % more for texts of 512 tokens in a model of base size, 1 % for texts of 50.
    Recomputation (chunks, remat) is no useful work and does not count either.
    """
    encoder = config.encoder
    weights = parameter_count(encoder) - encoder.vocab * encoder.embed
    return 6.0 * weights


def peak_flops(device_kind: str) -> float | None:
    """Peak of one device in bfloat16 operations a second; None for devices not in the table, CPUs among them."""
    return next((peak for name, peak in _PEAK.items() if device_kind.startswith(name)), None)


def utilization(config: ModelConfig, tokens_per_second: float) -> float | None:
    """Share of the devices' bfloat16 peak that useful arithmetic takes; None where the peak is not known."""
    peak = peak_flops(jax.devices()[0].device_kind)
    if peak is None:
        return None
    return training_flops_per_token(config) * tokens_per_second / (peak * jax.device_count())
