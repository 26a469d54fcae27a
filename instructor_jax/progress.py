"""How far a long piece of work is: a bar on a terminal, a line now and then in a log file or a pipe.

A bar that draws over itself is unreadable in the file of `nohup` or of a scheduler, and silence for hours looks like a
hang. So where standard error is no terminal the first line comes after `FIRST` seconds and further ones every `EVERY`,
each with rate and time left; work that takes less says nothing.
"""

import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, Protocol, TypeVar, runtime_checkable

FIRST, EVERY = 5.0, 30.0  # seconds

Item = TypeVar("Item")


@runtime_checkable
class Progress(Protocol):
    """What callers use of a bar; tqdm's bars have it.

    Attributes:
        n: Units that are done, those of an earlier run included.
        initial: Units that were done before, and count for no rate.
        total: Units of the whole work; None where nobody knows.
    """

    n: Any
    initial: Any
    total: Any

    def update(self, n: int = 1) -> Any:
        """Notes that this many units more are done."""

    def set_postfix_str(self, s: str = "", refresh: bool = True) -> Any:
        """Sets what is told behind the rate."""

    def close(self) -> Any:
        """Ends the bar."""

    def __enter__(self) -> "Progress": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> Any: ...


def progress(
    what: str, total: int | None, unit: str, *, shown: bool = True, leave: bool = True, initial: int = 0
) -> Progress:
    """Begins to tell how far a piece of work is, on standard error.

    Args:
        what: What is done, in a word or two.
        total: Units of the whole work; None where nobody knows.
        unit: Name of a unit; "B" for bytes, which are told in kB, MB and so on.
        shown: Whether anything is told; several processes of one run would tell the same.
        leave: Whether a bar stays on the terminal when the work is done.
        initial: Units that were done before, and count for no rate.
    """
    if not shown or not _is_terminal(sys.stderr):
        return Lines(what, total, unit, initial, sys.stderr if shown else None)
    from tqdm import tqdm

    return tqdm(
        total=total,
        initial=initial,
        desc=what,
        unit=unit,
        unit_scale=unit == "B",
        leave=leave,
        mininterval=0.2,
        dynamic_ncols=True,
    )


def progress_over(
    items: Iterable[Item], what: str, total: int | None, unit: str, *, shown: bool = True
) -> Iterator[Item]:
    """Yields items and tells how many there were; the bar is gone when they end. The rest is as of `progress`."""
    with progress(what, total, unit, shown=shown, leave=False) as bar:
        for item in items:
            yield item
            bar.update()


class Lines:
    """Progress as whole lines, the last of them when the work ends; none at all where it ends before the first.

    They go to `file`, which is what standard error happens to be; nowhere where it is None.
    """

    def __init__(self, what: str, total: int | None, unit: str, initial: int, file: Any) -> None:
        self.n, self.initial, self.total = initial, initial, total
        self._what, self._unit, self._file, self._behind = what, unit, file, ""
        self._began = self._told = time.monotonic()  # _told: when the last line was written
        self._told_n, self._lines = initial, 0

    def update(self, n: int = 1) -> None:
        """Notes that this many units more are done, and tells it where a line is due."""
        self.n += n
        now = time.monotonic()
        if now - self._told >= (EVERY if self._lines else FIRST):
            self._tell(now)

    def set_postfix_str(self, s: str = "", refresh: bool = True) -> None:
        """Sets what the next lines tell behind the rate."""
        self._behind = s

    def close(self) -> None:
        """Tells the end, with the rate of the whole, where anything was told before."""
        if self._lines and self.n != self._told_n:
            self._told, self._told_n = self._began, self.initial
            self._tell(time.monotonic())
        self._file = None

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _tell(self, now: float) -> None:
        """Writes a line, whose rate is that since the line before: the first steps of a run compile."""
        if self._file is None:
            return
        from tqdm import tqdm

        seconds, done = now - self._told, self.n - max(self._told_n, self.initial)
        line = tqdm.format_meter(
            self.n,
            self.total,  # pyright: ignore[reportArgumentType] # None is allowed, and means unknown
            now - self._began,
            ncols=0,
            prefix=self._what,
            unit=self._unit,
            unit_scale=self._unit == "B",
            rate=done / seconds if done > 0 and seconds > 0 else None,
            postfix=self._behind or None,
            initial=self.initial,
        )
        self._file.write(line + "\n")
        self._file.flush()
        self._told, self._told_n, self._lines = now, self.n, self._lines + 1


def _is_terminal(file: Any) -> bool:
    return file is not None and file.isatty()
