"""A progress bar where one is asked for; tqdm is imported only then, since computing needs none."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int], object]


@contextmanager
def progress_bar(total: int, what: str, unit: str, shown: bool) -> Iterator[Advance]:
    """Gives a function that moves the bar on by a number of units; without a bar it does nothing.

    Args:
        total: Units of the whole work.
        what: What is done, in front of the bar.
        unit: Name of a unit.
        shown: Whether there is a bar.
    """
    if not shown:
        yield lambda units: None
        return
    from tqdm import tqdm

    with tqdm(total=total, desc=what, unit=unit) as bar:
        yield bar.update
