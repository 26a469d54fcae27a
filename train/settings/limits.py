"""Sizes that no run has: a slip of the finger is told by its setting's name before anything is allocated."""

import math
from typing import Any

from instructor_jax.io.bounds import LAYERS, SIZE
from instructor_jax.io.json_files import shown_value
from instructor_jax.io.remote.stores import require_served
from instructor_jax.io.remote_places import refuse_remote

_COUNT = 2**31 - 1  # steps are counted in 32 bits on the devices

# Most of each setting, by the beginning of its key; the first that fits counts.
_MOST: tuple[tuple[str, int, str], ...] = (
    ("model.encoder.layers", LAYERS, "the deepest published encoder has 36"),
    ("model.", SIZE, "the largest size of a published model is a vocabulary of 262,144"),
    ("batch.groups", 1 << 20, "there are no more devices"),
    ("batch.rows", 1 << 20, "a group is held by one device"),
    ("batch.length", 1 << 20, "no text has so many tokens"),
    ("batch.examples", 1 << 20, "a group is held by one device"),
    ("batch.negatives", 1 << 10, "a row of the mixture has a handful"),
    ("max_length", 1 << 20, "no text has so many tokens"),
    ("export_length", 1 << 20, "no text has so many tokens"),
    ("distill.teacher_tokens", 1 << 20, "no text has so many tokens"),
    ("mesh.", 1 << 20, "there are no more devices"),
    ("workers", 1 << 10, "each is a process"),
    ("prefetch", 1 << 12, "each is a batch in memory"),
    ("gradient_cache_chunks", 1 << 20, "there are no more rows"),
    ("checkpoints.keep", 1 << 20, "each is a copy of the state"),
    ("loss.rows_at_a_time", SIZE, "no batch has so many"),
    ("seed", 2**63 - 1, "seeds have 64 bits"),
    ("", _COUNT, "it is counted in 32 bits"),
)


# Settings that name files or folders, or models that may be folders.
_PLACES = ("tokenizer", "mixture.avoid", "evaluation.data", "distill.teacher")
_PLACES_OF_STORES = ("data", "output", "init_from")  # folders that may lie in a store, too


def check_limits(settings: dict[str, Any]) -> None:
    """Checks that every number is finite and of a size that a run can have, and every place one of this machine.

    Args:
        settings: All settings of a run, by dotted key.

    Raises:
        ValueError: One is not; names it, the most it may be, and why.
    """
    for key, value in settings.items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, float) and math.isnan(one):
                raise ValueError(f"{key}=nan is no number.")
            if isinstance(one, int) and not isinstance(one, bool):
                most, why = next((most, why) for prefix, most, why in _MOST if key.startswith(prefix))
                if abs(one) > most:
                    raise ValueError(f"{key}={shown_value(one)} must be at most {most:,}: {why}.")
            if key in _PLACES:
                refuse_remote(key, one)
            if key in _PLACES_OF_STORES and isinstance(one, str):
                require_served(key, one)
            if isinstance(one, str) and "\0" in one:
                raise ValueError(f"{key}={shown_value(one)} has a NUL character; no name or path has.")
