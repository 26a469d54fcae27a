"""Which settings may change when a run goes on, and in which two sets of settings differ.

What only decides how the work is done (mesh, workers, intervals) may change; what decides the losses may not.
"""

from collections.abc import Mapping
from typing import Any

from .flat import flat
from .former_names import present_keys
from .run_config import RunConfig

# Keys whose change leaves the losses of a continued run as they are, but for rounding (mesh, gradient cache, remat,
# attention, where moments lie, when gradients are added, and the compiler's flags). The mixture may lie elsewhere: its
# fingerprint is compared.
CHANGEABLE = (
    "data", "output", "mesh", "gradient_cache_chunks", "remat", "attention", "workers", "prefetch", "checkpoints",
    "log", "held_out", "evaluation", "export", "export_length", "profile", "compiler", "optimizer.split_moments",
    "optimizer.sum_gradients_once",
)  # fmt: skip


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Returns the settings that differ and decide the losses of a run: key -> (old, new).

    Settings of an old run count under their present names. One that there was not yet when the run began stands for its
    default, which is what was done before.
    """
    defaults = RunConfig()
    old, new = {**flat(defaults), **present_keys(defaults, old)}, present_keys(defaults, new)
    return {
        key: (old.get(key), new.get(key))
        for key in {**old, **new}
        if key not in CHANGEABLE and key.partition(".")[0] not in CHANGEABLE and old.get(key) != new.get(key)
    }
