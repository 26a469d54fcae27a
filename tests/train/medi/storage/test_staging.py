import random
import tracemalloc

import pytest

from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.medi.storage import staging as module
from instructor_jax.train.medi.storage.staging import Staging
from instructor_jax.train.medi.storage.stored_rows import from_bytes


def rows(task, count, text="text"):
    return [Example(Side("Q:", f"{text} {i}"), Side("D:", f"answer {i}"), (), task, f"{i}") for i in range(count)]


def content(staging, task):
    return [from_bytes(stored) for stored in staging.stored(staging.finished()[task])]


def test_entry_tells_what_the_rows_are(tmp_path):
    made = rows("a/b", 3)
    made[1] = Example(Side("Q2:", "x"), Side("D:", "y"), (Side("D:", "n"),) * 2, "a/b", "other")
    entry = Staging(tmp_path).write("a/b", made, key="k", about={"licence": "MIT"})
    assert (entry.rows, entry.key, entry.about) == (3, "k", {"licence": "MIT"})
    assert entry.instructions == [["Q:", "D:", 2], ["Q2:", "D:", 1]]
    assert entry.negatives == {"0": 2, "2": 1}
    assert Staging(tmp_path).finished() == {"a/b": entry}
    assert content(Staging(tmp_path), "a/b") == made


def test_digest_tells_content_and_order_apart(tmp_path):
    staging, made = Staging(tmp_path), rows("t", 4)
    first = staging.write("t", made).digest
    assert staging.write("t", made).digest == first
    assert staging.write("t", made[::-1]).digest != first
    assert staging.write("t", rows("t", 4, "texts")).digest != first


def test_mixed_rows_of_more_tasks_than_open_files(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_OPEN_FILES", 3)
    tasks = {f"task {i}": rows(f"task {i}", 5 + i) for i in range(8)}
    order = [task for task, made in tasks.items() for _ in made]
    random.Random(0).shuffle(order)
    remaining = {task: iter(made) for task, made in tasks.items()}
    staging = Staging(tmp_path)
    entries = staging.write_mixed(next(remaining[task]) for task in order)
    assert {task: content(staging, task) for task in tasks} == tasks
    assert any(len(entry.parts) > 1 for entry in entries.values())
    for task, made in tasks.items():  # written in parts or at once: the same digest
        assert Staging(tmp_path / "other").write(task, made).digest == entries[task].digest


@pytest.mark.parametrize("mixed", [False, True])
def test_a_task_does_not_count_before_its_last_row(tmp_path, mixed):
    staging = Staging(tmp_path)

    def broken():
        yield from rows("t", 3)
        raise KeyboardInterrupt

    staging.write("t", rows("t", 2))  # an earlier version of the task must not be taken for the new one either
    with pytest.raises(KeyboardInterrupt):
        staging.write_mixed(broken()) if mixed else staging.write("t", broken())
    assert staging.finished() == {}


@pytest.mark.parametrize(
    ("task", "made", "message"),
    [
        ("t", rows("t", 3) + rows("t", 2), "row id '[01]' occurs twice in task 't'"),
        ("t", rows("u", 1), "belongs to task 'u', not to 't'"),
        ("t", [], "has no rows"),
        ("eval_sts", rows("eval_sts", 1), "evaluation data"),
    ],
)
def test_wrong_rows_are_refused(tmp_path, task, made, message):
    with pytest.raises(ValueError, match=message):
        Staging(tmp_path).write(task, made)
    assert Staging(tmp_path).finished() == {}


def test_writing_streams(tmp_path):
    long = "x" * 10_000
    made = (Example(Side("Q:", long), Side("D:", f"{long}{i}"), (), "t", f"{i}") for i in range(600))  # 12 MB
    staging = Staging(tmp_path)
    staging.write("t", [next(made)])  # imports
    tracemalloc.start()
    staging.write("t", made)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * 2**20
