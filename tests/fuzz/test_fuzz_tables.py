"""Damaged tables of text: read to their end, or refused with the place of the fault."""

import gzip
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructor_jax.commands.table_options import InputOptions
from instructor_jax.commands.text_files import read_texts
from instructor_jax.io.tables.tables import open_table

from .conftest import SEEDS, fuzz_settings, survives
from .mutations import byte_mutations, damaged_bytes

_CSV = b'id,text,lang\n1,"one, two\nthree",en\n2,vier,de\n3,"a ""word""",fr\n'
TABLES: dict[str, bytes] = {
    "a.csv": _CSV,
    "a.tsv": _CSV.replace(b",", b"\t"),
    "a.txt": b"one\ntwo\r\n\nthree \xc3\xa9\n",
    "a.jsonl": b'{"_id": "1", "title": "T", "text": "one"}\n\n{"_id": "2", "title": "", "text": "\\u00e9"}\n',
    "a.csv.gz": gzip.compress(_CSV, mtime=0),
}


def try_table(path: Path, content: bytes) -> None:
    path.write_bytes(content)

    def read() -> int:
        with open_table(path) as table:
            return sum(len(row.text) for row in read_texts(table, InputOptions()))

    survives(read)


@pytest.mark.parametrize("name", TABLES)
@fuzz_settings
@given(byte_mutations)
def test_tables_with_damaged_bytes(tmp_path_factory: pytest.TempPathFactory, name: str, mutations: list) -> None:
    try_table(tmp_path_factory.getbasetemp() / name, damaged_bytes(TABLES[name], mutations))


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt", ".jsonl", ".parquet", ".csv.gz"])
@fuzz_settings
@given(st.binary(max_size=300))
def test_files_of_any_bytes(tmp_path_factory: pytest.TempPathFactory, suffix: str, content: bytes) -> None:
    try_table(tmp_path_factory.getbasetemp() / f"any{suffix}", content)


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    pyarrow: Any = pytest.importorskip("pyarrow")
    parquet: Any = pytest.importorskip("pyarrow.parquet")
    path = tmp_path_factory.mktemp("fuzz") / "a.parquet"
    parquet.write_table(pyarrow.table({"id": [1, 2, 3], "text": ["one", "two", "three"]}), path)
    return path.read_bytes()


@fuzz_settings
@given(byte_mutations)
def test_damaged_parquet(tmp_path_factory: pytest.TempPathFactory, parquet: bytes, mutations: list) -> None:
    try_table(tmp_path_factory.getbasetemp() / "damaged.parquet", damaged_bytes(parquet, mutations))


@pytest.mark.parametrize("seed", SEEDS.get("tables", []), ids=str)
def test_seeds(tmp_path: Path, seed: list) -> None:
    name, mutations = seed
    try_table(tmp_path / name, damaged_bytes(TABLES[name], mutations))
