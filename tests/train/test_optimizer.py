"""Optimizers on a few parameters: against formulas written out, and against what they promise."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from instructor_jax.train.optimizer import OptimizerConfig, make_optimizer

CONSTANT = {"schedule": "constant", "clip_norm": None}


def steps(config: OptimizerConfig, params: dict, gradients: list[dict]) -> dict:
    """The parameters after one update for each of the gradients."""
    optimizer = make_optimizer(config)
    state = optimizer.init(params)
    for gradient in gradients:
        updates, state = optimizer.update(gradient, state, params)
        params = optax.apply_updates(params, updates)  # type: ignore[assignment]
    return params


def some(seed: int, scale: float = 1.0) -> dict:
    key = jax.random.key(seed)
    return {"kernel": scale * jax.random.normal(key, (5, 3)), "scale": jnp.ones(4)}


@pytest.mark.slow
def test_relative_updates_are_adam_times_the_size_of_the_parameter() -> None:
    config = OptimizerConfig(learning_rate=1e-2, relative=True, **CONSTANT)
    start, gradients = some(0, 0.3), [some(seed) for seed in range(1, 5)]
    found = steps(config, start, gradients)["kernel"]

    # Kingma and Ba 2015, algorithm 1, in float64, times the root mean square of the parameter before the step
    weights = np.asarray(start["kernel"], np.float64)
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    for number, gradient in enumerate(gradients, start=1):
        g = np.asarray(gradient["kernel"], np.float64)
        first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
        adam = (first / (1 - 0.9**number)) / (np.sqrt(second / (1 - 0.999**number)) + 1e-8)
        weights = weights - 1e-2 * np.sqrt(np.mean(weights**2)) * adam
    np.testing.assert_allclose(found, weights, rtol=2e-6, atol=0)  # float32 over four steps


def test_a_relative_step_is_the_same_share_of_a_large_and_of_a_small_parameter() -> None:
    config = OptimizerConfig(learning_rate=1e-2, relative=True, **CONSTANT)
    small, large = (steps(config, some(0, size), [some(1)])["kernel"] / size for size in (1 / 16, 1.0))
    np.testing.assert_allclose(small, large, rtol=1e-6)
    plain = OptimizerConfig(learning_rate=1e-2, **CONSTANT)
    small, large = (steps(plain, some(0, size), [some(1)])["kernel"] / size for size in (1 / 16, 1.0))
    assert float(jnp.abs(small - large).max()) > 0.1


def test_adamw_without_it_is_optax_adamw_to_the_bit_and_its_state_too() -> None:
    config = OptimizerConfig(learning_rate=1e-2, weight_decay=0.1, **CONSTANT)
    mask = {"kernel": True, "scale": False}
    peer = optax.adamw(1e-2, weight_decay=0.1, mask=mask)
    params, gradients = some(0), [some(seed) for seed in range(1, 4)]
    found = steps(config, params, gradients)
    state: Any = peer.init(params)
    for gradient in gradients:
        updates, state = peer.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
    jax.tree.map(np.testing.assert_array_equal, found, params)
    ours: Any = make_optimizer(config).init(some(0))
    assert len(ours[1]) == len(state)  # checkpoints of runs that began before keep their layout


def test_adafactor_is_relative_already() -> None:
    with pytest.raises(ValueError, match="relative=True is for adamw"):
        OptimizerConfig("adafactor", relative=True)
