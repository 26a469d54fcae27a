import json
import pickle
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import tensorflow_datasets as tfds

from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.medi.storage import store_writer as module
from instructor_jax.train.medi.storage.staging import Staging
from instructor_jax.train.medi.storage.store import MediStore
from instructor_jax.train.medi.storage.store_writer import write_store


def rows(task, count):
    return [
        Example(
            Side(f"Represent the {task} query:", f"ü {i}"),
            Side("Represent the answer:", f"answer {i}"),
            tuple(Side("Represent the answer:", f"wrong {j}") for j in range(i % 3)),
            task,
            f"id {i}",
            score=0.25 if i % 2 else None,
            label="l" if i % 5 else None,
        )
        for i in range(count)
    ]


TASKS = {"b": rows("b", 7), "a": rows("a", 10), "c/d": rows("c/d", 5)}


@pytest.fixture
def staging(tmp_path):
    staging = Staging(tmp_path / "partial")
    for task, made in TASKS.items():
        staging.write(task, made, about={"licence": f"licence of {task}"})
    return staging


@pytest.fixture
def store(tmp_path, staging):
    write_store(tmp_path / "medi" / "1.0.0", staging, about={"scorer": "none"})
    return MediStore(tmp_path / "medi" / "1.0.0")


def test_rows_lie_by_task_in_the_order_of_names(store):
    assert store.tasks == ("a", "b", "c/d")
    assert [store.rows(task) for task in store.tasks] == [range(10), range(10, 17), range(17, 22)]
    assert len(store) == 22
    assert list(store.stream()) == TASKS["a"] + TASKS["b"] + TASKS["c/d"]
    assert list(store.stream(store.rows("b"), at_once=3)) == TASKS["b"]


def test_reads_rows_in_the_order_asked_for(store):
    everything = TASKS["a"] + TASKS["b"] + TASKS["c/d"]
    assert store.read([21, 0, 12, 0]) == [everything[i] for i in (21, 0, 12, 0)]
    assert store.read([]) == []
    for wrong in ([-1], [22]):
        with pytest.raises(IndexError, match=r"must be in \[0, 22\)"):
            store.read(wrong)


def test_metadata(store):
    assert store.metadata["about"] == {"scorer": "none"}
    entry = store.entry("c/d")
    assert (entry["rows"], entry["about"]) == (5, {"licence": "licence of c/d"})
    assert entry["instructions"] == [["Represent the c/d query:", "Represent the answer:", 5]]
    with pytest.raises(ValueError, match="task 'x' is not in"):
        store.rows("x")


def test_fingerprint_is_that_of_the_content(tmp_path, store, monkeypatch):
    other = Staging(tmp_path / "other")
    for task in ("c/d", "a", "b"):
        other.write(task, TASKS[task], about={"licence": "another"})
    monkeypatch.setattr(module, "SHARD_BYTES", 500)
    write_store(tmp_path / "same", other)
    assert MediStore(tmp_path / "same").fingerprint == store.fingerprint
    write_store(tmp_path / "part", other, tasks=["a", "b"])
    assert MediStore(tmp_path / "part").fingerprint != store.fingerprint


def test_many_files_read_as_one(tmp_path, staging, monkeypatch):
    monkeypatch.setattr(module, "SHARD_BYTES", 500)
    write_store(tmp_path / "shards", staging)
    assert len(list((tmp_path / "shards").glob("medi-train.array_record-*"))) > 3
    assert list(MediStore(tmp_path / "shards").stream()) == TASKS["a"] + TASKS["b"] + TASKS["c/d"]


def test_tensorflow_datasets_opens_it_by_folder_and_by_name(store):
    builders: list[Any] = [
        tfds.builder_from_directory(store.folder),
        tfds.builder("medi", data_dir=store.folder.parent.parent),
    ]
    for source in (builder.as_data_source("train") for builder in builders):
        assert len(source) == 22
        assert source[3]["query"]["text"].decode() == TASKS["a"][3].query.text
        assert [row["row_id"] for row in source.__getitems__([10, 11])] == [b"id 0", b"id 1"]
    assert tfds.builder_from_directory(store.folder).info.splits["train[:10]"].num_examples == 10


def test_is_read_without_tensorflow(store):
    program = """
        import sys
        from instructor_jax.train.medi.storage.store import MediStore
        print(MediStore(sys.argv[1]).read([5])[0].query.text, "tensorflow" in sys.modules, sep="|")
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(store.folder)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.stdout.strip() == f"{TASKS['a'][5].query.text}|False", result.stderr


def test_may_be_pickled_and_read_by_many_threads(store):
    store.read([0])
    copy = pickle.loads(pickle.dumps(store))
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda i: copy.read([i % 22])[0].row_id, range(200)))
    assert found == [store.read([i % 22])[0].row_id for i in range(200)]


def test_an_existing_store_is_replaced_only_if_allowed(tmp_path, staging, store):
    with pytest.raises(FileExistsError, match="holds a mixture already"):
        write_store(store.folder, staging)
    write_store(store.folder, staging, tasks=["b"], replace=True)
    assert MediStore(store.folder).tasks == ("b",)
    assert sorted(path.name for path in store.folder.parent.iterdir()) == ["1.0.0"]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    with pytest.raises(FileExistsError, match="is not a mixture"):
        write_store(tmp_path / "full", staging, replace=True)


def test_a_failed_write_leaves_no_store(tmp_path, staging, monkeypatch):
    monkeypatch.setattr(Staging, "stored", lambda self, entry: iter([b"x", None]))
    with pytest.raises(TypeError):
        write_store(tmp_path / "new", staging)
    assert not (tmp_path / "new").exists()


def test_what_is_no_store_is_refused(tmp_path, staging, store):
    with pytest.raises(FileNotFoundError, match="holds no mixture"):
        MediStore(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"tasks \['zzz'\] are not finished"):
        write_store(tmp_path / "new", staging, tasks=["a", "zzz"])
    with pytest.raises(ValueError, match="no finished task"):
        write_store(tmp_path / "new", Staging(tmp_path / "empty"))
    info = json.loads((store.folder / "dataset_info.json").read_text())
    for change, message in (({"version": "9.0.0"}, "version 9.0.0"), ({"name": "mnist"}, "data set 'mnist'")):
        (store.folder / "dataset_info.json").write_text(json.dumps({**info, **change}))
        with pytest.raises(ValueError, match=message):
            MediStore(store.folder)
