"""Vectors and ids come back from every output format, and joined parts are the file written at once."""

import json
import sys

import numpy as np
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructor_jax.commands.encode.vector_files import join_npy, vector_format, write_ids, write_npy

SUFFIXES = [".npy", ".jsonl", ".parquet"]
DTYPES = [np.float32, np.int8, np.uint8]


def vectors(rows: int, dtype: type, dim: int = 5) -> np.ndarray:
    numbers = np.random.default_rng(rows).standard_normal((rows, dim)) * 50
    return numbers.astype(np.int8).astype(dtype) if dtype == np.uint8 else numbers.astype(dtype)


def read(path) -> tuple[list | None, np.ndarray]:
    """Ids and vectors of a finished file, read by other means than ours."""
    if path.suffix == ".npy":
        return None, np.load(path)
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
        return [row["id"] for row in rows], np.array([row["embedding"] for row in rows])
    table = pyarrow.parquet.read_table(path)
    return table["id"].to_pylist(), np.stack(table["embedding"].to_numpy())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("sizes", [[3], [3, 3, 1]])
@pytest.mark.parametrize("named", [True, False])
def test_parts_joined_are_what_was_written(suffix, dtype, sizes, named, tmp_path):
    kind = vector_format(tmp_path / f"v{suffix}")
    all_vectors = vectors(sum(sizes), dtype)
    all_ids = [f'id "{k}" 日本\u2028\n' for k in range(sum(sizes))]
    paths, first = [], 0
    for size in sizes:
        paths.append(tmp_path / f"part-{first}{suffix}")
        ids = all_ids[first : first + size] if named else None
        kind.write(paths[-1], all_vectors[first : first + size], ids, first)
        first += size
    kind.join(paths, tmp_path / f"v{suffix}")
    ids, back = read(tmp_path / f"v{suffix}")
    np.testing.assert_array_equal(back.astype(dtype), all_vectors)
    if suffix == ".npy":
        assert back.dtype == dtype
    else:
        assert ids == (all_ids if named else list(range(sum(sizes))))


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_a_joined_npy_is_the_file_that_numpy_writes(sizes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("npy")
    whole = vectors(sum(sizes), np.float32)
    np.save(folder / "expected.npy", whole)
    ends = np.cumsum(sizes)
    for size, end in zip(sizes, ends, strict=True):
        write_npy(folder / f"{end}.npy", np.asfortranarray(whole[end - size : end]), None, 0)
    join_npy([folder / f"{end}.npy" for end in ends], folder / "joined.npy")
    assert (folder / "joined.npy").read_bytes() == (folder / "expected.npy").read_bytes()


def test_parts_that_do_not_fit_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", vectors(2, np.float32, 4))
    np.save(tmp_path / "b.npy", vectors(2, np.float32, 5))
    with pytest.raises(ValueError, match=r"b\.npy: float32 \(2, 5\) does not continue float32 \(2, 4\)"):
        join_npy([tmp_path / "a.npy", tmp_path / "b.npy"], tmp_path / "c.npy")


def test_ids_are_lines_and_may_not_contain_them(tmp_path):
    write_ids(tmp_path / "ids.txt", ["a", "ä b", ""], 0)
    assert (tmp_path / "ids.txt").read_bytes() == "a\nä b\n\n".encode()
    with pytest.raises(ValueError, match=r"row 12: the id 'a\\nb' has a line break; use a \.jsonl"):
        write_ids(tmp_path / "ids.txt", ["a", "a\nb"], 10)


def test_unknown_suffixes_and_absent_extras(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"unknown suffix '\.npz' .* one of \.npy, \.jsonl, \.parquet"):
        vector_format(tmp_path / "v.npz")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'instructor-jax\[tables\]'"):
        vector_format(tmp_path / "v.parquet")
