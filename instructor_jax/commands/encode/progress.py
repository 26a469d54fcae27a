"""The progress bar of `encode`."""

import sys

from tqdm import tqdm


def progress(total: int | None = None) -> tqdm:
    """A progress bar over rows, on standard error; in a log file a line every half minute."""
    interval = 0.2 if sys.stderr.isatty() else 30.0
    return tqdm(
        total=total, unit=" rows", unit_scale=True, desc="encode", mininterval=interval, dynamic_ncols=True, smoothing=0
    )
