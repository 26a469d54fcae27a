"""The commands of docs/bulk.md run one after the other, with a stand-in for the model and a store in memory."""

import gzip
import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pyarrow.parquet
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # --import-mode=importlib has no neighbours
from blocks import ROOT, Block, blocks_of, commands_of

FAKE = ROOT / "tests" / "commands" / "fake_embedder.py"
BULK = ROOT / "docs" / "bulk.md"
ROWS = 30


@pytest.fixture
def page(tmp_path: Path, monkeypatch) -> Iterator[Path]:
    """An empty folder but for the inputs that the page names, and a model that takes every name."""
    spec = importlib.util.spec_from_file_location("fake_embedder", FAKE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, "instructor_jax.embedder", module)
    monkeypatch.setattr(module.Instructor, "from_pretrained", lambda name, **options: module.Instructor("fake"))
    monkeypatch.chdir(tmp_path)
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    table = pyarrow.table({"text": [f"text {k}" for k in range(ROWS)]})
    for folder in ("more", "pages", "data/pages", "wiki_dataset"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("pages.parquet", "more/1.parquet", "pages/1.parquet", "data/pages/1.parquet"):
        pyarrow.parquet.write_table(table, name)
    memory.put_file("pages.parquet", "/bucket/texts/1.parquet")
    lines = "".join(json.dumps(row) + "\n" for row in table.to_pylist())
    Path("a.jsonl").write_text(lines)
    Path("b.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    with pyarrow.ipc.new_stream("wiki_dataset/data.arrow", table.schema) as stream:
        stream.write_table(table)
    Path("wiki_dataset/state.json").write_text('{"_data_files": [{"filename": "data.arrow"}]}')
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    for name, value in (("MIN", "0"), ("MAX", "0"), ("COUNT", "1")):
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
    yield tmp_path
    memory.store.clear()


def commands() -> list[list[str]]:
    """The page's commands, as they can be had here: no Ray cluster, no bucket, no folder /data."""
    found = []
    for block in blocks_of(BULK):
        for words in commands_of(Block(block.page, block.language, block.text, block.line)):
            if "ray" not in words:
                found.append([re.sub(r"^s3://", "memory://", word) for word in words])
    return [[re.sub(r"^/data/", "data/", word) for word in words] for words in found]


def test_every_command_of_the_page_runs(page: Path) -> None:
    from instructor_jax.cli import main

    ran = 0
    for words in commands():
        if any(word.endswith(".lance") for word in words) and importlib.util.find_spec("lance") is None:
            continue
        for left in ("vectors.npy", "vectors.npy.json"):  # the page gives several commands one output
            if "--shard" not in words and not Path("vectors.npy.parts").exists():
                Path(left).unlink(missing_ok=True)
        main(words)
        ran += 1
    assert ran >= 10
    assert len(np.load("vectors.npy")) == ROWS
    table = pyarrow.parquet.read_table("vectors/part-000000.parquet")
    assert str(table.schema.field("embedding").type) == "fixed_size_list<element: halffloat>[24]"
    memory = fsspec.filesystem("memory")
    assert sorted(memory.find("/bucket")) == [
        "/bucket/texts/1.parquet",
        "/bucket/vectors.npy",
        "/bucket/vectors.npy.json",
        "/bucket/vectors/_manifest.json",
        "/bucket/vectors/part-000000.parquet",
    ]
    if importlib.util.find_spec("lancedb") and importlib.util.find_spec("lance"):
        text = next(block.text for block in blocks_of(BULK) if "import lancedb" in block.text)
        names: dict = {}
        exec(compile(text, str(BULK), "exec"), names)
        assert names["table"].count_rows() == ROWS
