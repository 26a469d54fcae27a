"""Checks of what users pass: each says the argument, its value, the rule and what to do.

Python's own errors for a wrong type come late, from deep inside, and name neither the argument nor the cure; a wrong
number may even pass (True is 1, and 1.5 texts are cut to one).
"""

import difflib
import operator
import os
from collections.abc import Collection
from typing import Any

from instructor_jax.io.printable import shown

_UNSET = ("None", "null", "undefined")  # what an unset variable becomes in a string


def whole_number(name: str, value: Any, least: int, most: int) -> int:
    """The value as an int; NumPy's integers are taken, floats and booleans are not.

    Raises:
        ValueError: it is no whole number, or outside `least` to `most`.
    """
    try:
        if type(value).__name__ in ("bool", "bool_"):
            raise TypeError
        number = operator.index(value)
    except (TypeError, ValueError, RuntimeError):  # also arrays and tensors of several elements
        raise ValueError(
            f"{name}={shown(value)} must be a whole number from {least} to {most}, not a {type(value).__name__}."
        ) from None
    if number < least:
        raise ValueError(f"{name}={shown(value)} must be at least {least}.")
    if number > most:
        raise ValueError(f"{name}={shown(value)} must be at most {most}.")
    return number


def one_of(name: str, value: Any, allowed: Collection[str]) -> str:
    """The value, which must be one of these strings.

    Raises:
        ValueError: it is not; the message lists them.
    """
    if isinstance(value, str) and value in allowed:
        return value
    near = difflib.get_close_matches(value, allowed, 1) if isinstance(value, str) else []
    raise ValueError(f"{name}={shown(value)} must be one of {', '.join(allowed)}.{_meant(near)}")


def flag(name: str, value: Any) -> bool:
    """True or False; also None and 0 for False and 1 for True, as old code has them.

    Raises:
        ValueError: anything else, such as the string "False", which Python takes for true.
    """
    if value is None:
        return False
    if type(value).__name__ in ("bool", "bool_") or (type(value) is int and value in (0, 1)):
        return bool(value)
    raise ValueError(f"{name}={shown(value)} must be True or False, not a {type(value).__name__}.")


def optional_text(name: str, value: Any) -> str | None:
    """A string, or None.

    Raises:
        ValueError: anything else.
    """
    if value is None or isinstance(value, str):
        return value
    raise ValueError(f"{name}={shown(value)} must be a string or None, not a {type(value).__name__}.")


def optional_path(name: str, value: Any) -> str | None:
    """A path as a string, or None.

    Raises:
        ValueError: it is no path, an empty one, or one that no file can have.
    """
    return None if value is None else _path(name, value, "leave it out for the default")


def model_name(name: str, value: Any) -> str:
    """The name of a model or the path of its folder, as a string.

    Raises:
        ValueError: there is none: None, an empty string, or the text that an unset variable becomes.
    """
    cure = "give a folder, a name on the hub such as 'hkunlp/instructor-large', or 'default' for the packaged model"
    if value is None:
        raise ValueError(f"{name}=None names no model (is a variable unset?); {cure}.")
    text = _path(name, value, cure)
    if text in _UNSET and not os.path.isdir(text):
        raise ValueError(f"{name}={text!r} names no model (is a variable unset?); {cure}.")
    return text


def unknown_keywords(function: str, given: Collection[str], known: Collection[str]) -> None:
    """Refuses keywords that a function does not have.

    Raises:
        ValueError: there is one; the message names the nearest known one.
    """
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise ValueError(f"{function} has no option {shown(name)}.{_meant(near)} See help({function}).")


def _path(name: str, value: Any, cure: str) -> str:
    try:
        text = os.fspath(value)
    except TypeError:
        text = None
    if not isinstance(text, str):
        raise ValueError(f"{name}={shown(value)} must be a string or a path, not a {type(value).__name__}; {cure}.")
    if not text.strip():
        raise ValueError(f"{name}={text!r} is empty; {cure}.")
    if "\0" in text or len(os.fsencode(text.encode("utf-8", "replace").decode())) > 4096:  # Linux's longest path
        raise ValueError(f"{name}={shown(text)} can be no path; {cure}.")
    return text


def _meant(near: list[str]) -> str:
    return f" Did you mean {near[0]}?" if near else ""
