"""How much arithmetic training takes, and what share of the device's peak a run reaches (MFU), on real tokens only."""

import jax

from instructor_jax.config import ModelConfig, parameter_count

from .chips import chip_of, devices_per_chip


def training_flops_per_token(config: ModelConfig) -> float:
    """Returns the operations of forward and backward pass per token: 6 for each weight of a matrix product.

    The token table is looked up, the projection is per text; neither is counted. Nor are attention's scores, whose
    number depends on the texts: 11 % more for texts of 512 tokens in a model of base size, 1 % for texts of 50.
    Recomputation (chunks, remat) is no useful work and does not count either.
    """
    encoder = config.encoder
    weights = parameter_count(encoder) - encoder.vocab * encoder.embed
    return 6.0 * weights


def peak_flops(device_kind: str) -> float | None:
    """Returns the peak of one chip in bfloat16 operations a second.

    None for devices that no table has, CPUs among them.
    """
    chip = chip_of(device_kind)
    return None if chip is None else chip.flops


def utilization(config: ModelConfig, tokens_per_second: float) -> float | None:
    """Returns the fraction of the devices' bfloat16 peak that useful arithmetic takes.

    None where the peak is not known.
    """
    peak = peak_flops(jax.devices()[0].device_kind)
    if peak is None:
        return None
    chips = jax.device_count() / devices_per_chip(jax.local_devices())
    return training_flops_per_token(config) * tokens_per_second / (peak * chips)
