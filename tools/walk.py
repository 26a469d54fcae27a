"""Walks a run's settings through `prepare` and counts the functions and files that they enter: how tangled is the way?

    python tools/walk.py tiny data=data/mine output=/tmp/walked [key=value ...]

The run is prepared twice, and the second time is counted: what is made once (vocabulary, token cache) is there then.
"""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

FOLDERS = ("instructor_jax", "train", "convert")


class Walk:
    """The functions of the project that are entered while the walk is on.

    Attributes:
        calls: Number of calls of each function, by its code.
        changes: Number of times that a call leads from one file into another.
    """

    def __init__(self, checkout: Path) -> None:
        self._folders = tuple(f"{checkout / name}/" for name in FOLDERS)
        self.calls: Counter[CodeType] = Counter()
        self.changes = 0

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        """Notes a call; is what `sys.setprofile` takes."""
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(self._folders) and code.co_name[0] != "<":
            self.calls[code] += 1
            caller = frame.f_back
            self.changes += caller is not None and caller.f_code.co_filename != code.co_filename

    def of(self, function: Callable[[], Any]) -> None:
        """Calls a function and notes what it enters."""
        sys.setprofile(self)
        try:
            function()
        finally:
            sys.setprofile(None)

    def report(self) -> str:
        """Returns the counts, as one line."""
        files = {code.co_filename for code in self.calls}
        rooms = {str(Path(file).parent) for file in files}
        own = [code for code in self.calls if code.co_filename.startswith(self._folders[1])]
        return (
            f"{len(self.calls)} functions of {len(files)} files in {len(rooms)} folders are entered, by "
            f"{self.calls.total():,} calls, {self.changes:,} of them into another file; of train/ alone "
            f"{len(own)} functions of {len({code.co_filename for code in own})} files"
        )


def main() -> None:
    """Prepares the run that the command line names, and prints what was entered."""
    from instructor_jax.train import prepare  # pyright: ignore[reportMissingImports]
    from instructor_jax.train.recipe_files import load_recipe  # pyright: ignore[reportMissingImports]
    from instructor_jax.train.settings.overrides import override  # pyright: ignore[reportMissingImports]

    name, *settings = sys.argv[1:]
    run = override(load_recipe(name).config, settings)
    prepare(run)
    walk = Walk(Path(__file__).resolve().parent.parent)
    walk.of(lambda: prepare(run))
    print(walk.report())


if __name__ == "__main__":
    main()
