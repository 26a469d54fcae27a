"""What a JSON text may hold: depth, numbers, keys and characters that every reader can use; and the decoders that look.

Python's parser takes `NaN`, repeated keys, numbers of any length and halves of characters.
"""

import json
import re
from typing import Any

_CONTAINERS = frozenset((dict, list))
# Numbers beyond float64 have an exponent of three digits or hundreds of digits. Looking at every number in Python would
# double the time that a tokenizer's quarter of a million scores take. Both kinds begin with the same characters, so
# that the search can skip what is none of them: long texts take a quarter of the time.
_PERHAPS_HUGE = re.compile(r"[0-9.](?:[eE]\+?0*[1-9][0-9]{2}|[0-9]{299})")


def check_value(value: Any, text: str, depth: int) -> None:
    """Looks at what a decoder made of a text.

    Args:
        value: What the decoder made.
        text: The text.
        depth: Most levels of nesting.

    Raises:
        ValueError: it nests too deeply, or holds a number that no float64 can hold.
        UnicodeEncodeError: it holds half of a surrogate pair.
    """
    if text.count("[") + text.count("{") > depth:  # fewer brackets than levels allowed: no need to look
        _check_depth(value, depth)
    if _PERHAPS_HUGE.search(text):
        _FINITE_DECODER.decode(text)
    if "\\ud" in text or "\\uD" in text:
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # refuses half of a surrogate pair


def _check_depth(value: Any, depth: int) -> None:
    level = [value]
    for _ in range(depth + 1):
        members = (item.values() if type(item) is dict else item for item in level if type(item) in _CONTAINERS)
        # Most lists are [piece, score] of a vocabulary, a quarter of a million of them: looked at without a loop.
        level = [inner for some in members if not _CONTAINERS.isdisjoint(map(type, some)) for inner in some]
        if not level:
            return
    raise ValueError(f"it nests deeper than {depth} levels")


def _no_constant(name: str) -> Any:
    raise ValueError(f"it holds {name}, which JSON does not have")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"its number {text[:40]} is larger than a float can be")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise ValueError(f"it has the key {twice[:80]!r} twice")
    return result


# Made once: `json.loads` with options of its own makes a decoder at every call, which takes longer than a line of data.
LENIENT_DECODER = json.JSONDecoder()
_FINITE_DECODER = json.JSONDecoder(parse_float=_finite)
DECODER = json.JSONDecoder(parse_constant=_no_constant)
UNIQUE_DECODER = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_unique)
