"""Checks of the values in a configuration: each names the field, its value and the rule."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

Config = TypeVar("Config")


def check_whole(name: str, value: Any, least: int, most: int, remark: str = "") -> None:
    """Checks a whole number.

    Raises:
        ValueError: it is none, or outside `least` to `most`.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name}={value!r} must be a whole number from {least} to {most}{remark}.")


def check_share(name: str, value: Any, *, below_one: bool = False) -> None:
    """Checks a number from 0 to 1.

    Raises:
        ValueError: it is no number, or outside; with `below_one` also where it is 1.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name}={value!r} must be a number.")
    if not 0.0 <= value <= 1.0 or (below_one and value == 1.0):
        raise ValueError(f"{name}={value} must be in [0, 1{')' if below_one else ']'}.")


def check_flag(name: str, value: Any) -> None:
    """Checks a truth value.

    Raises:
        ValueError: it is neither True nor False.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name}={value!r} must be True or False.")


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    """Checks a word out of a list.

    Raises:
        ValueError: it is none of them.
    """
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name}={value!r} must be one of {', '.join(choices)}.")


def made_of(config: Callable[..., Config], values: Mapping[str, Any], where: str | Path) -> Config:
    """Makes a configuration of what a config.json says.

    Args:
        config: Its class.
        values: The values of its fields.
        where: What messages call the file.

    Raises:
        ValueError: the values do not describe an encoder.
    """
    try:
        return config(**values)
    except ValueError as error:
        raise ValueError(f"{where} does not describe an encoder: {error}") from error
