"""What the commands print: for a terminal of some width, in whatever characters its encoding has, obeying no text.

Everything that may come from a file goes through `say`; JSON goes through `say_json`.
"""

import shutil
import sys
from typing import Any

from instructor_jax.io.printable import json_text, printable

_NARROWEST, _WIDEST = 20, 1000  # columns; COLUMNS may say anything


def terminal_width() -> int:
    """Columns of the terminal, within sane bounds whatever COLUMNS says."""
    return min(max(shutil.get_terminal_size().columns, _NARROWEST), _WIDEST)


def say(text: str) -> None:
    """Print text that may come from files; what a terminal would obey is printed as an escape."""
    print(printable(text))


def say_json(value: Any) -> None:
    """Print JSON that every stream can carry: other characters than its own are escaped, which means the same."""
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "").replace("_", "")
    print(json_text(value, indent=1, ascii_only=not encoding.startswith("utf")))
