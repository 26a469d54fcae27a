import pytest

from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.medi.inspect import described, overview, sample
from instructor_jax.train.medi.storage.staging import Staging
from instructor_jax.train.medi.storage.store import MediStore
from instructor_jax.train.medi.storage.store_writer import write_store


@pytest.fixture
def store(tmp_path):
    staging = Staging(tmp_path / "partial")
    for task, count in (("sums", 30), ("words", 4)):
        rows = [Example(Side("Q:", f"q{i}"), Side("D:", f"p{i}"), (), task, f"{i}") for i in range(count)]
        staging.write(task, rows)
    write_store(tmp_path / "medi", staging)
    return MediStore(tmp_path / "medi")


def test_one_example_by_eye():
    example = Example(
        Side("Represent the question:", "What is red?"),
        Side("Represent the answer:", "A colour.\n\nAlso a band."),
        (Side("Represent the answer:", "long " * 30), Side("Other:", "no")),
        "task",
        "r1",
        score=0.5,
        label="x",
        weight=2.0,
    )
    assert next(iter(described([example], width=60, characters=100))) == (
        "--- task | row r1, label x, score 0.5, weight 2 ------------\n"
        "  [Represent the question:]\n"
        "     query  What is red?\n"
        "  [Represent the answer:]\n"
        "  positive  A colour.\n"
        "            \n"
        "            Also a band.\n"
        "  negative  long long long long long long long long long\n"
        "            long long long long long long long long long\n"
        "            long long  ... (150 characters)\n"
        "  [Other:]\n"
        "  negative  no"
    )


def test_missing_negatives_and_instruction_are_named():
    block = next(iter(described([Example(Side("", "a"), Side("", "b"), (), "t", "1")], width=60)))
    assert block.splitlines()[1] == "  [no instruction]"
    assert block.splitlines()[-1] == "  negative  (none)"


def test_sample_is_drawn_by_seed(store):
    first = [one.row_id for one in sample(store, "sums", 5)]
    assert len(set(first)) == 5
    assert [one.row_id for one in sample(store, "sums", 5)] == first
    assert [one.row_id for one in sample(store, "sums", 5, seed=1)] != first
    assert len(sample(store, "words", 9)) == 4


def test_overview_has_a_line_for_each_task(store):
    lines = overview(store).splitlines()
    assert lines[0].endswith(f"34 rows in 2 tasks, fingerprint {store.fingerprint}")
    assert lines[2].split() == ["sums", "30", "0.0", "negatives", "Q:", "->", "D:"]
