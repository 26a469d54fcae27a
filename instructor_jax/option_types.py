"""Types of the commands' options that the command line's library reads too kindly."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Parameter

from instructor_jax.io.printable import shown

_DIGITS = re.compile(r"[+-]?[0-9]+", re.ASCII)


def _whole_number(kind: Any, tokens: Sequence[Any]) -> int:
    """Returns the number that an option says.

    Raises:
        ValueError: it is written in another way than by digits; the library would round 1.5 to 2.
    """
    text = tokens[0].value
    if not _DIGITS.fullmatch(text) or len(text) > 40:
        raise ValueError(f"{shown(text)} must be a whole number, written in digits")
    return int(text)


# A number of things: what `int` would be, but 1.5 is refused and not rounded.
WholeNumber = Annotated[int, Parameter(converter=_whole_number)]
