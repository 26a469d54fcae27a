"""What decides the losses of a run may not change when it goes on; how the work is done may."""

import pytest

from instructor_jax.train.settings.comparison import differences
from instructor_jax.train.settings.flat import flat
from instructor_jax.train.settings.run_config import RunConfig

DEFAULTS = flat(RunConfig())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mesh.fsdp", 4),
        ("gradient_cache_chunks", 8),
        ("optimizer.split_moments", True),
        ("optimizer.sum_gradients_once", True),
    ],
)
def test_how_the_work_is_done_may_change(key: str, value: object) -> None:
    assert differences(DEFAULTS, {**DEFAULTS, key: value}) == {}


@pytest.mark.parametrize(("key", "value", "default"), [("optimizer.weight_decay", 0.5, 0.0), ("seed", 7, 42)])
def test_what_decides_the_losses_is_named(key: str, value: object, default: object) -> None:
    assert differences(DEFAULTS, {**DEFAULTS, key: value}) == {key: (default, value)}
