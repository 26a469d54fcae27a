"""Files that are either whole or absent: written beside under another name, forced to disk, then renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path in the folder of `path`; the file written there becomes `path` when the block succeeds.

    The bytes reach the disk before the name does: after a power cut a file system may otherwise keep the new name with
    no content. A block that raises leaves `path` as it was and removes the temporary file.
    """
    beside = path.with_name(f".{path.name}.partial")
    try:
        yield beside
        with open(beside, "rb") as written:
            os.fsync(written.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
