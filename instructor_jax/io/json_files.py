"""The one way in for JSON: bounded in size and depth, checked in type, one error that names the file and the key.

Python's parser alone answers a hostile or damaged file with half a dozen exceptions (RecursionError, MemoryError,
UnicodeDecodeError, OverflowError in whoever uses a number, ...) and takes `NaN`, repeated keys and numbers of any
length. Here each of these is a `ValueError` of one line.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from instructor_jax.io.bounds import JSON_DEPTH, SETTINGS_BYTES, SIZE
from instructor_jax.io.json_checks import DECODER, LENIENT_DECODER, UNIQUE_DECODER, check_value
from instructor_jax.io.printable import one_line, shown

_REQUIRED: Any = object()


def parse_json(text: str | bytes, where: str | Path, *, unique: bool = False, constants: bool = False) -> Any:
    """Returns the value of a JSON text.

    Args:
        text: the whole text; bytes must be UTF-8, with or without a byte order mark.
        where: what messages call it, such as a path, or a path and a line.
        unique: refuse an object that has a key twice.
        constants: take NaN and Infinity as numbers, for data that were published with them; whoever takes a value from
            there has to look at it. Keys are not checked to be unique then.

    Raises:
        ValueError: it is no JSON, nests deeper than `JSON_DEPTH`, holds NaN or Infinity, a number that no float64 can
            hold, or half of a surrogate pair.
    """
    try:
        if isinstance(text, bytes | bytearray):
            text = bytes(text).decode("utf-8-sig")
        value = (LENIENT_DECODER if constants else UNIQUE_DECODER if unique else DECODER).decode(text)
        check_value(value, text, JSON_DEPTH)
    except UnicodeDecodeError as error:
        raise ValueError(f"{where} is not valid JSON: byte {error.start} is not UTF-8 ({error.reason}).") from error
    except UnicodeEncodeError as error:
        raise ValueError(f"{where} is not valid JSON: \\u escapes that are no character ({error.reason}).") from error
    except json.JSONDecodeError as error:
        at = f"line {error.lineno}, column {error.colno}" if error.lineno > 1 else f"column {error.colno}"
        raise ValueError(f"{where} is not valid JSON: {error.msg} at {at}.") from error
    except RecursionError as error:  # the parser's own limit, at about a thousand levels
        raise ValueError(f"{where} is not valid JSON: it nests deeper than {JSON_DEPTH} levels.") from error
    except ValueError as error:
        raise ValueError(f"{where} is not valid JSON: {error}.") from error
    return value


def parse_json_at(text: str, at: int, where: str | Path) -> tuple[Any, int]:
    """Returns the value of the JSON text that begins at a place of a longer text, and where it ends.

    Raises:
        json.JSONDecodeError: there is no whole value: the text may be damaged, or go on elsewhere.
        ValueError: see `parse_json`.
    """
    try:
        value, end = UNIQUE_DECODER.raw_decode(text, at)
        check_value(value, text[at:end], JSON_DEPTH)
    except json.JSONDecodeError:
        raise
    except UnicodeEncodeError as error:
        raise ValueError(f"{where} is not valid JSON: \\u escapes that are no character ({error.reason}).") from error
    except RecursionError as error:
        raise ValueError(f"{where} is not valid JSON: it nests deeper than {JSON_DEPTH} levels.") from error
    except ValueError as error:
        raise ValueError(f"{where} is not valid JSON: {error}.") from error
    return value, end


def read_bytes(path: Path, limit: int, what: str = "a file of this kind") -> bytes:
    """Returns the bytes of a file that has at most `limit` of them.

    Raises:
        ValueError: it is longer, also where its size is not known beforehand (a pipe, a device).
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"{path} has more than {limit:,} bytes, more than {what} needs; it is damaged or not one.")
    return content


def read_json_value(path: Path, *, limit: int = SETTINGS_BYTES) -> Any:
    """Returns the value of a JSON file of at most `limit` bytes.

    Raises:
        ValueError: see `parse_json`; or the file is longer than `limit`.
        OSError: it cannot be read.
    """
    return parse_json(read_bytes(path, limit, "a JSON file of settings"), path)


def read_json(path: Path, *, limit: int = SETTINGS_BYTES) -> dict[str, Any]:
    """Returns the JSON object of a file of at most `limit` bytes.

    Raises:
        ValueError: see `parse_json`; or it holds another kind of value, or is longer than `limit`.
        OSError: it cannot be read.
    """
    content = read_json_value(path, limit=limit)
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object, not {described(content)}.")
    return content


class Fields:
    """The values of one JSON object, taken by name with their kind and range; knows which keys nobody asked for.

    Args:
        content: the object.
        where: what messages call it.
    """

    def __init__(self, content: Any, where: str | Path) -> None:
        if not isinstance(content, Mapping):
            raise ValueError(f"{where} must hold a JSON object, not {described(content)}.")
        self.content: Mapping[str, Any] = content
        self.where: str | Path = where
        self._unread = set(content)

    def __contains__(self, key: str) -> bool:
        """Whether the key is there with a value; null counts as absent, as in transformers."""
        return self.content.get(key) is not None

    def any(self, key: str, default: Any = None) -> Any:
        """Returns the value as it is."""
        self._unread.discard(key)
        value = self.content.get(key)
        return default if value is None else value

    def whole(self, key: str, default: Any = _REQUIRED, *, least: int = 0, most: int = SIZE) -> int:
        """Returns a whole number in [least, most]; `default` where the key is absent or null."""
        return self._typed(key, default, f"a whole number from {least} to {most}", _is_whole(least, most))

    def number(self, key: str, default: Any = _REQUIRED, *, least: float, most: float) -> float:
        """Returns a number in [least, most], as a float also where it is written as a whole one."""
        value = self._typed(key, default, f"a number from {least:g} to {most:g}", _is_number(least, most))
        return float(value) if isinstance(value, int) else value

    def flag(self, key: str, default: Any = _REQUIRED) -> bool:
        """Returns true or false."""
        return self._typed(key, default, "true or false", lambda value: isinstance(value, bool))

    def text(self, key: str, default: Any = _REQUIRED) -> str:
        """Returns a string."""
        return self._typed(key, default, "a string", lambda value: isinstance(value, str))

    def texts(self, key: str) -> dict[str, str]:
        """Returns an object of strings by name; empty where the key is absent or null."""
        rule = "an object of strings by name"
        return dict(self._typed(key, {}, rule, lambda value: isinstance(value, Mapping) and _all_strings(value)))

    def ignore(self, keys: Iterable[str]) -> None:
        """Marks keys whose value, whatever it is, does not change a vector."""
        self._unread -= set(keys)

    def require(self, allowed: Mapping[str, Iterable[Any]], rule: str) -> None:
        """Checks keys that are harmless with some values only; an absent key or null is harmless.

        Raises:
            ValueError: a key has another value; `rule` says what that would change.
        """
        for key, values in allowed.items():
            value = self.any(key)
            if value is not None and not any(type(value) is type(good) and value == good for good in values):
                raise ValueError(f"{self.where} has {key}={shown_value(value)}, {rule}; not supported.")

    def refuse_unread(self, known: str = "") -> None:
        """Refuses an object with keys that nothing was said about.

        Raises:
            ValueError: there are such keys with a value other than null; the message names them.
        """
        left = sorted(key for key in self._unread if self.content[key] is not None)
        if left:
            listed = ", ".join(f"{one_line(key, 60)}={shown_value(self.content[key])}" for key in left[:5])
            more = f" and {len(left) - 5} more" if len(left) > 5 else ""
            raise ValueError(
                f"{self.where} has {listed}{more}, which this version does not know and which may change the vectors"
                f"{known and f'; known are {known}'}. Remove what has no effect, or use the library that wrote it."
            )

    def _typed(self, key: str, default: Any, rule: str, good: Callable[[Any], bool]) -> Any:
        value = self.any(key)
        if value is None:
            if default is _REQUIRED:
                raise ValueError(f"{self.where} lacks {key!r}, {rule}.")
            return default
        if not good(value):
            raise ValueError(f"{self.where} has {key}={shown_value(value)}; it must be {rule}.")
        return value


def shown_value(value: Any) -> str:
    """Returns a JSON value for a message: short, on one line, without control characters."""
    if isinstance(value, Mapping | list):
        return described(value)
    return json.dumps(value) if isinstance(value, bool | None) else shown(value, 80)


def described(value: Any) -> str:
    """Returns what kind of JSON value it is, without its content."""
    if isinstance(value, Mapping):
        return f"an object of {len(value)} keys"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    names = {str: "a string", bool: "true or false", int: "a number", float: "a number", type(None): "null"}
    return names.get(type(value), f"a {type(value).__name__}")


def _is_whole(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_number(least: float, most: float) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _all_strings(value: Mapping[str, Any]) -> bool:
    return all(isinstance(item, str) for item in value.values())
