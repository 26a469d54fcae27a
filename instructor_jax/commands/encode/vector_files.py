"""The files that vectors are written to: .npy, .jsonl, .parquet, .lance; each part a small file of the same format.

A part holds what the whole file will hold, so joining parts copies bytes (.npy, .jsonl) or row groups (.parquet) and
never has more than one part in memory. What is written depends on vectors and ids alone: equal parts, equal bytes.
"""

import dataclasses
import json
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Num, Shaped

from instructor_jax.commands.encode.arrow_files import join_parquet, require_pyarrow, write_parquet
from instructor_jax.commands.encode.lance_files import commit_lance, require_lance, write_lance
from instructor_jax.io.printable import one_line


@dataclasses.dataclass(frozen=True)
class VectorFormat:
    """One kind of output file.

    Attributes:
        suffix: of the output and of its parts.
        holds_ids: whether ids are in the file itself; otherwise they go to a text file beside it.
        write: writes one part: path, vectors, ids, number of the first row (the id of a row without one is its number).
        join: joins parts, in order, to one file: paths of the parts, path of the whole.
        as_folder: whether the output is a folder with the parts in it, which are not joined.
        commit: of a folder that is a dataset: makes it of files, given by name, rows and bytes, and one of them.
    """

    suffix: str
    holds_ids: bool
    write: Callable[[Path, np.ndarray, Sequence[str] | None, int], None]
    join: Callable[[Sequence[Path], Path], None]
    as_folder: bool = False
    commit: Callable[[Path, Sequence[tuple[str, int, int]], Path], None] | None = None


def vector_format(output: Path | str, *, as_folder: bool = False) -> VectorFormat:
    """The format that an output's suffix names, or that of a folder of Parquet parts.

    Raises:
        ValueError: the suffix is not one of .npy, .jsonl, .parquet, .lance.
        ImportError: .parquet without the extra `tables`, .lance without the extra `lance`.
    """
    suffix = PurePosixPath(str(output)).suffix
    if as_folder:
        if suffix in _FORMATS:
            raise ValueError(f"{output}: --parts makes a folder of .parquet files; name it without a suffix")
        require_pyarrow()
        return dataclasses.replace(_FORMATS[".parquet"], as_folder=True)
    if suffix not in _FORMATS:
        raise ValueError(f"{output}: unknown suffix {suffix!r} of an output; it must be one of {', '.join(_FORMATS)}")
    if suffix == ".parquet":
        require_pyarrow()
    if suffix == ".lance":
        require_lance()
    return _FORMATS[suffix]


def write_npy(path: Path, vectors: Shaped[np.ndarray, "..."], ids: Sequence[str] | None, first_row: int) -> None:
    """A NumPy array [rows, dim]; ids have no place in it."""
    del ids, first_row
    rows = np.ascontiguousarray(vectors)  # join_npy copies rows, not columns
    header = {"descr": np.lib.format.dtype_to_descr(rows.dtype), "fortran_order": False, "shape": rows.shape}
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        file.write(rows.data.cast("B") if rows.size else b"")  # np.save tells a full disk as "0 of 9 were written"


def open_npy(path: Path) -> np.ndarray:
    """The array of an .npy file, mapped and not read.

    Raises:
        ValueError: it is no .npy file of plain numbers, or not as long as its header says.
        OSError: it cannot be opened.
    """
    if not path.is_file() and path.exists():
        raise ValueError(f"{path} is no plain file; give an .npy file.")
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(4)
        if start == b"PK\x03\x04":
            raise ValueError(f"{path} is an archive of arrays (.npz); give an .npy file with one array.")
        file.seek(0)
        try:
            version = np.lib.format.read_magic(file)
            reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
            shape, fortran, dtype = reader(file)
            offset = file.tell()
        except Exception as error:  # the header is a Python literal, whose parser raises half a dozen kinds
            raise ValueError(f"{path} is not an .npy file, or its beginning is damaged: {_reason(error)}") from error
    if dtype.hasobject:
        raise ValueError(f"{path} holds Python objects, which are never loaded; save it as float32 numbers.")
    expected = offset + math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or expected != size:
        raise ValueError(f"{path} has {size:,} bytes, but its header says {shape} of {dtype}: {expected:,}; is it cut?")
    if math.prod(shape) == 0:  # nothing to map
        return np.zeros(shape, dtype)
    return np.memmap(path, dtype, "r", offset, shape, "F" if fortran else "C")


def join_npy(parts: Sequence[Path], output: Path) -> None:
    """A header for all rows, then the data of the parts, copied.

    Raises:
        ValueError: the parts differ in dimension or type.
    """
    first = open_npy(parts[0])
    rows = 0
    with open(output, "wb") as whole:
        for number in range(2):  # first the lengths, for the header; then the data
            for path in parts:
                part = open_npy(path)
                if part.shape[1:] != first.shape[1:] or part.dtype != first.dtype:
                    raise ValueError(f"{path}: {part.dtype} {part.shape} does not continue {first.dtype} {first.shape}")
                rows += len(part) if number == 0 else 0
                if number == 1:
                    with open(path, "rb") as file:
                        file.seek(part.offset)  # type: ignore[attr-defined]
                        shutil.copyfileobj(file, whole, 1 << 20)
            if number == 0:
                shape = (rows, *first.shape[1:])
                descr = np.lib.format.dtype_to_descr(first.dtype)
                np.lib.format.write_array_header_1_0(whole, {"descr": descr, "fortran_order": False, "shape": shape})


def write_jsonl(
    path: Path, vectors: Shaped[np.ndarray, "batch dim"], ids: Sequence[str] | None, first_row: int
) -> None:
    """Writes one object a line: {"id": ..., "embedding": [...]}."""
    names = range(first_row, first_row + len(vectors)) if ids is None else ids
    quote = json.JSONEncoder(ensure_ascii=False).encode
    with open(path, "wb") as file:
        for name, array in zip(names, json_arrays(vectors), strict=True):
            file.write(b'{"id": %b, "embedding": %b}\n' % (quote(name).encode("utf-8"), array))


def json_arrays(vectors: Num[np.ndarray, "batch dim"]) -> Iterator[bytes]:
    """Yields each vector as the bytes of a JSON array; parsed and rounded to its type it is the same, bit for bit.

    orjson writes the shortest text that names a float32 (of a unit vector 12 bytes a number, in 50 ns on one core);
    Python's encoder knows only float64, whose texts are longer.

    Raises:
        ValueError: a number is not finite (JSON has no such numbers), with its vector.
    """
    import orjson

    if not np.isfinite(vectors).all():  # orjson would write null
        bad = int(np.argmin(np.isfinite(vectors).all(axis=1)))
        raise ValueError(f"vector {bad} is not finite; JSON cannot hold it")
    for row in np.ascontiguousarray(vectors):
        yield orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY)


def join_bytes(parts: Sequence[Path], output: Path) -> None:
    """The parts one after the other."""
    with open(output, "wb") as whole:
        for path in parts:
            with open(path, "rb") as part:
                shutil.copyfileobj(part, whole, 1 << 20)


def write_ids(path: Path, ids: Sequence[str], first_row: int) -> None:
    """One id a line.

    Raises:
        ValueError: an id contains a line break, with its row.
    """
    for row, identifier in enumerate(ids):
        if "\n" in identifier or "\r" in identifier:
            raise ValueError(
                f"row {first_row + row + 1}: the id {one_line(repr(identifier), 80)} has a line break; "
                "use a .jsonl or .parquet output"
            )
    path.write_text("".join(f"{identifier}\n" for identifier in ids), encoding="utf-8", newline="\n")


def _reason(error: Exception) -> str:
    return one_line(str(error) or type(error).__name__, 200)


_FORMATS = {
    ".npy": VectorFormat(".npy", False, write_npy, join_npy),
    ".jsonl": VectorFormat(".jsonl", True, write_jsonl, join_bytes),
    ".parquet": VectorFormat(".parquet", True, write_parquet, join_parquet),
    ".lance": VectorFormat(".lance", True, write_lance, join_bytes, as_folder=True, commit=commit_lance),
}
