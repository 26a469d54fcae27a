"""Vectors as a Lance dataset: each part is a data file of Lance, and one commit makes a dataset of the files.

Lance's writer makes a data file anywhere and tells what a dataset has to know of it; that depends on the columns alone,
so it is asked once, of a few rows, when the dataset is made. No row is copied. The files are of format 2.0, which every
version of Lance since 2024 reads: all files of a dataset have to be of one format, whoever wrote them.
"""

import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from instructor_jax.commands.encode.arrow_files import vector_table
from instructor_jax.io.printable import one_line

_FORMAT = "2.0"
# What a dataset of ours consists of. Whoever adds rows or an index adds files of other names, or a second version.
_OURS = re.compile(
    r"data/part-[0-9]{6,9}\.lance|_versions/([^/]+\.manifest|latest_version_hint\.json)|_transactions/[^/]+\.txn"
)


def write_lance(
    path: Path, vectors: Shaped[np.ndarray, "batch dim"], ids: Sequence[str] | None, first_row: int
) -> None:
    """Columns `id` (string, or int64 row numbers) and `embedding` (a list of fixed size), as a data file of Lance."""
    lance = require_lance()
    table = vector_table(vectors, ids, first_row)
    with tempfile.TemporaryDirectory(prefix="instructor_jax.") as scratch:
        _written(lance, table, scratch)
        (written,) = (Path(scratch) / "data").iterdir()
        shutil.copyfile(written, path)


def commit_lance(target: Path, files: Sequence[tuple[str, int, int]], sample: Path) -> None:
    """Makes a dataset of data files.

    Args:
        target: the dataset, a folder; its files may come into its folder `data` later.
        files: of each file its name, its rows and its bytes.
        sample: one of the files, wherever it lies.

    Raises:
        ValueError: the sample is damaged.
    """
    lance = require_lance()
    try:
        few = lance.file.LanceFileReader(str(sample)).read_range(0, 1).to_table()
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(f"{sample.name} is no data file of Lance: {one_line(str(error), 200)}") from error
    with tempfile.TemporaryDirectory(prefix="instructor_jax.") as scratch:
        (like,) = _written(lance, few, scratch)
    (described,) = like.files
    fragments = [
        lance.fragment.FragmentMetadata(
            id=number,
            files=[
                lance.fragment.DataFile(
                    name,
                    described.fields,
                    described.column_indices,
                    described.file_major_version,
                    described.file_minor_version,
                    size,
                )
            ],
            physical_rows=rows,
        )
        for number, (name, rows, size) in enumerate(files)
    ]
    lance.LanceDataset.commit(str(target), lance.LanceOperation.Overwrite(few.schema, fragments))


def _written(lance: Any, table: Any, folder: str) -> Any:
    """What Lance tells of the data files of a table, which it writes into an empty folder: one, however many rows."""
    rows = max(len(table), 1)
    return lance.fragment.write_fragments(
        table, folder, mode="create", max_rows_per_file=rows, data_storage_version=_FORMAT
    )


def is_our_lance(names: Sequence[str]) -> bool:
    """Whether a folder with files of these names, with slashes, is a dataset as `commit_lance` leaves it."""
    return all(_OURS.fullmatch(name) for name in names) and sum(name.endswith(".manifest") for name in names) < 2


def lance_names(folder: Path) -> list[str]:
    """The names of all files below a folder; of a link to elsewhere its own."""
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]


def remove_lance(folder: Path) -> None:
    """Removes a dataset of ours, if it is there."""
    if not folder.is_dir():
        return
    for name in lance_names(folder):
        if _OURS.fullmatch(name):
            (folder / name).unlink()
    for inner in sorted(folder.rglob("*"), reverse=True):
        inner.rmdir()
    folder.rmdir()


def require_lance() -> Any:
    """The package `lance`.

    Raises:
        ImportError: it is absent; with the extra.
    """
    try:
        import lance
        import lance.file
        import lance.fragment
    except ImportError as error:
        raise ImportError("a .lance output needs pylance: pip install 'instructor-jax[lance]'") from error
    return lance
