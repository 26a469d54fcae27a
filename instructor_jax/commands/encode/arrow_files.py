"""Vectors as a table of Arrow, and in Parquet files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped


def vector_table(vectors: Shaped[np.ndarray, "batch dim"], ids: Sequence[str] | None, first_row: int) -> Any:
    """Returns the columns `id` (string, or int64 row numbers) and `embedding` (a list of fixed size)."""
    pyarrow = require_pyarrow()
    names = np.arange(first_row, first_row + len(vectors)) if ids is None else pyarrow.array(ids, pyarrow.string())
    flat = pyarrow.array(np.ascontiguousarray(vectors).reshape(-1))
    embedding = pyarrow.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    return pyarrow.table({"id": names, "embedding": embedding})


def write_parquet(
    path: Path, vectors: Shaped[np.ndarray, "batch dim"], ids: Sequence[str] | None, first_row: int
) -> None:
    """Writes a `vector_table` in one row group."""
    table = vector_table(vectors, ids, first_row)
    # Vectors hardly compress; looking for equal values in them only takes time.
    require_pyarrow().parquet.write_table(
        table, path, compression="none", use_dictionary=False, row_group_size=max(len(table), 1)
    )


def join_parquet(parts: Sequence[Path], output: Path) -> None:
    """Writes the row groups of the parts, one part in memory at a time.

    Raises:
        ValueError: a part is damaged.
    """
    pyarrow = require_pyarrow()
    parquet = pyarrow.parquet
    try:
        schema = parquet.read_schema(parts[0])
        with parquet.ParquetWriter(output, schema, compression="none", use_dictionary=False) as writer:
            for path in parts:
                table = parquet.read_table(path)
                writer.write_table(table, row_group_size=max(len(table), 1))
    except pyarrow.ArrowException as error:
        raise ValueError(f"the parts beside {output} cannot be joined: {error}") from error


def require_pyarrow() -> Any:
    """Returns the package `pyarrow`.

    Raises:
        ImportError: it is absent; with the extra.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError("a .parquet output needs pyarrow: pip install 'instructor-jax[tables]'") from error
    return pyarrow
