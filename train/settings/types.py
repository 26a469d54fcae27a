"""The types of a configuration that was made in Python: dataclasses take anything, and 1.5 steps would begin."""

import dataclasses
import types
import typing
from typing import Any

import numpy as np

from instructor_jax.io.printable import shown


def check_types(config: Any, prefix: str = "") -> None:
    """Checks that whole numbers, numbers and truth values are such, in all sections; NumPy's become Python's.

    Args:
        config: Configuration: any dataclass of dataclasses.
        prefix: What stands before the names of its settings, e.g. "batch.".

    Raises:
        ValueError: One is of another type; names it.
    """
    hints = typing.get_type_hints(type(config))
    for name in (field.name for field in dataclasses.fields(config)):
        value, key = getattr(config, name), f"{prefix}{name}"
        if dataclasses.is_dataclass(value):
            check_types(value, f"{key}.")
            continue
        kinds = typing.get_args(hints[name]) if isinstance(hints[name], types.UnionType) else (hints[name],)
        if value is None and types.NoneType in kinds:
            continue
        checked = _checked(value, kinds, key)
        if checked is not value:
            object.__setattr__(config, name, checked)  # the same value; a frozen configuration stays what it is


def _checked(value: Any, kinds: tuple[Any, ...], key: str) -> Any:
    is_flag = isinstance(value, bool | np.bool_)
    if bool in kinds:
        if not is_flag:
            raise ValueError(f"{key}={shown(value)} must be True or False.")
        return bool(value)
    if float in kinds:
        if is_flag or not isinstance(value, int | float | np.integer | np.floating):
            raise ValueError(f"{key}={shown(value)} must be a number.")
        return value if type(value) in (int, float) else value.item() if isinstance(value, np.generic) else value
    if int in kinds:
        if is_flag or not isinstance(value, int | np.integer):
            raise ValueError(f"{key}={shown(value)} must be a whole number.")
        return int(value)
    return value
