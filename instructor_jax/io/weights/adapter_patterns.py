"""The patterns by which peft chooses modules, matched as it matches them, and none that could take for ever.

A regular expression from a file can make Python's matcher search longer than anybody waits (`(a+)+b`). Accepted are
those whose search is short for every name: no repeat of a group, and few repeats of single characters.
"""

import re
from collections.abc import Sequence

from instructor_jax.io.printable import shown

_MODULE_CHARACTERS = 64  # of the longest name of a module, which patterns are matched with
_STEPS = 1 << 20  # a pattern's search with one name, counted from above
_TOKEN = re.compile(r"\\[.dwsDWS_\-]|\[\^?[^\]\\\[]+\]|\((?:\?:)?|[)|*+?^$.]|\{\d{1,2}(?:,\d{0,2})?\}|[\w\- ]")


def compiled(pattern: str, where: str) -> re.Pattern[str]:
    """Returns a pattern to match module names with.

    Args:
        pattern: a regular expression of characters, classes, groups without names and alternatives.
        where: what messages call it.

    Raises:
        ValueError: it is no regular expression, has parts that are not accepted here, or could search for long.
    """
    refusal = f"{where} has the pattern {shown(pattern, 80)}, which"
    if len(pattern) > 2000 or "".join(found[0] for found in _TOKEN.finditer(pattern)) != pattern:
        raise ValueError(f"{refusal} has parts that are not read here (groups with names, look-around, references).")
    if _steps(pattern) > _STEPS:
        raise ValueError(f"{refusal} repeats so much that matching could take for ever; list the modules by name.")
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{refusal} is no regular expression: {error}.") from error


def is_named(key: str, names: Sequence[str]) -> bool:
    """Whether a module is one of those listed: by its whole name, or by the end of it from a dot on."""
    return any(key == name or key.endswith(f".{name}") for name in names)


def _steps(pattern: str) -> float:
    """An upper bound of the matcher's steps: alternatives and repeats multiply, and a repeated group is endless."""
    steps, repeats, alternatives, before = 1.0, 0, [1], ""
    for found in _TOKEN.finditer(pattern):
        token = found[0]
        if token.startswith("("):
            alternatives.append(1)
        elif token == "|":
            alternatives[-1] += 1
        elif token == ")" and len(alternatives) > 1:
            steps *= alternatives.pop()
        elif token == "?":
            steps *= 2
        elif token in ("*", "+") or token.startswith("{"):
            if before == ")":
                return float("inf")
            repeats += 1
            steps *= _MODULE_CHARACTERS / repeats
        before = token
    return steps * alternatives[0]
