"""`instructor-jax encode` with a stand-in for the model: formats, columns, errors, and what is written."""

import csv
import io
import json
import sys

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

TEXTS = ["a cat", "", 'quoted "dog", comma', "two\nlines", "ünïcödé 日本", "a  cat "] * 3
INSTRUCTIONS = [f"Represent {k % 2}: " for k in range(len(TEXTS))]
IDS = [f"id {k}" for k in range(len(TEXTS))]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_table(path, columns: dict[str, list[str]]) -> None:
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.table(columns), path)
    else:
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(columns), delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)


def expected(fake, texts, instructions, batch: int = 4) -> np.ndarray:
    """What the stand-in gives when every part is one call."""
    model = fake.Instructor("fake")
    pairs = [[i, t] for i, t in zip(instructions, texts, strict=True)]
    return np.concatenate([model.encode(pairs[k : k + batch]) for k in range(0, len(pairs), batch)])


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".tsv", ".parquet"])
def test_every_table_with_ids_and_instructions(suffix, folder, run, fake):
    write_table(folder / f"in{suffix}", {"id": IDS, "instruction": INSTRUCTIONS, "text": TEXTS})
    run("encode", f"in{suffix}", "-o", "v.npy", "-m", "fake", "--part-size", 4)
    np.testing.assert_array_equal(np.load("v.npy"), expected(fake, TEXTS, INSTRUCTIONS))
    assert (folder / "v.ids.txt").read_text(encoding="utf-8").split("\n")[:-1] == IDS
    assert sorted(path.name for path in folder.iterdir()) == [f"in{suffix}", "v.ids.txt", "v.npy", "v.npy.json"]


@pytest.mark.parametrize("output", ["v.jsonl", "v.parquet"])
def test_outputs_that_hold_ids(output, folder, run, fake):
    write_table(folder / "in.csv", {"text": TEXTS, "key": IDS})
    run("encode", "in.csv", "-o", output, "-m", "fake", "-i", "R: ", "--id-column", "key", "--part-size", 4)
    if output.endswith(".jsonl"):
        rows = [json.loads(line) for line in (folder / output).read_text().splitlines()]
    else:
        rows = pyarrow.parquet.read_table(output).to_pylist()
    assert [row["id"] for row in rows] == IDS
    found = np.array([row["embedding"] for row in rows], dtype=np.float32)
    np.testing.assert_array_equal(found, expected(fake, TEXTS, ["R: "] * len(TEXTS)))


def test_every_line_of_a_text_file_is_a_row(folder, run, fake):
    (folder / "in.txt").write_text("a\n\nb\n")
    run("encode", "in.txt", "-o", "v.npy", "-m", "fake")
    np.testing.assert_array_equal(np.load("v.npy"), expected(fake, ["a", "", "b"], [""] * 3))


def test_one_call_for_each_part_and_one_for_the_probe(folder, run, fake):
    (folder / "in.txt").write_text("x\n" * 10)
    run("encode", "in.txt", "-o", "v.npy", "-m", "fake", "--part-size", 4)
    assert [len(call) for call in fake.loaded[0].calls] == [1, 4, 4, 2]


def test_an_instruction_for_all_goes_before_a_column_of_that_name(folder, run, fake):
    write_table(folder / "in.csv", {"instruction": INSTRUCTIONS, "text": TEXTS})
    run("encode", "in.csv", "-o", "v.npy", "-m", "fake", "-i", "R: ")
    np.testing.assert_array_equal(np.load("v.npy"), expected(fake, TEXTS, ["R: "] * len(TEXTS), batch=99))


def test_options_reach_the_model(folder, run):
    (folder / "in.txt").write_text("a\nb\n")
    run("encode", "in.txt", "-o", "v.npy", "-m", "fake", "--precision", "int8", "--truncate-dim", 7)
    vectors = np.load("v.npy")
    assert (vectors.dtype, vectors.shape) == (np.int8, (2, 7))


def test_the_summary_says_what_was_done(folder, run, capsys):
    (folder / "in.txt").write_text("a b\n" + "x" * 300 + "\n")
    run("encode", "in.txt", "-o", "v.npy", "-m", "fake", "-i", "R: ")
    out = capsys.readouterr().out
    assert "rows         2\n" in out
    assert "truncated    1 texts" in out
    assert "rows/s" in out
    summary = json.loads((folder / "v.npy.json").read_text())
    assert (summary["rows"], summary["tokens"], summary["truncated"]) == (2, 5, 1)
    assert (summary["options"]["model"], summary["options"]["instruction"]) == ("fake", "R: ")


def test_standard_input(folder, run, fake, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("a\nä\n".encode())))
    run("encode", "-", "-o", "v.npy", "-m", "fake")
    np.testing.assert_array_equal(np.load("v.npy"), expected(fake, ["a", "ä"], ["", ""]))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-m", "absent"], "no model 'absent'"),
        (["-m", "fake", "--text-column", "body"], "has no column 'body'"),
        (["-m", "fake", "-i", "x", "--instruction-column", "text"], "exclude each other"),
        (["-m", "fake", "--part-size", "0"], "must be at least 1"),
        (
            ["-m", "fake", "--on-overflow", "error", "--part-size", "2"],
            "in.jsonl, in rows 3 to 4 (indices count from row 3): text 1",
        ),
    ],
)
def test_errors_are_one_line_and_leave_nothing_half_written(arguments, says, folder, fails):
    write_table(folder / "in.jsonl", {"text": ["a", "b", "c", "x" * 300]})
    assert says in fails("encode", "in.jsonl", "-o", "v.npy", *arguments)
    assert not (folder / "v.npy").exists()


def test_bad_rows_are_told_before_the_model_is_loaded(folder, fails, fake):
    (folder / "in.jsonl").write_text('{"text": "a"}\n{"text": 3}\n')
    assert "in.jsonl, line 2" in fails("encode", "in.jsonl", "-o", "v.npy", "-m", "fake")
    assert fake.loaded == []
    assert [path.name for path in folder.iterdir()] == ["in.jsonl"]


def test_empty_input_and_vectors_that_are_no_numbers(folder, fails, fake, monkeypatch):
    (folder / "in.txt").write_text("")
    assert "in.txt: holds no rows" in fails("encode", "in.txt", "-o", "v.npy", "-m", "fake")
    (folder / "in.txt").write_text("a\nb\n")
    monkeypatch.setattr(fake, "vector", lambda name, i, text: np.full(3, np.nan if text == "b" else 1, np.float32))
    assert "in.txt, row 2: its vector is not finite" in fails("encode", "in.txt", "-o", "v.npy", "-m", "fake")


def test_a_failed_first_part_does_not_hold_up_another_model(folder, run, fails):
    (folder / "in.txt").write_text("a\n")
    fails("encode", "in.txt", "-o", "v.npy", "-m", "absent")
    run("encode", "in.txt", "-o", "v.npy", "-m", "fake")


def test_an_output_that_exists_is_kept_unless_told(folder, run, fails, capsys):
    (folder / "in.txt").write_text("a\n")
    (folder / "v.npy").write_text("precious")
    command = ["encode", "in.txt", "-o", "v.npy", "-m", "fake"]
    assert "--overwrite" in fails(*command)
    assert (folder / "v.npy").read_text() == "precious"
    run(*command, "--overwrite")
    run(*command)
    assert "complete already" in capsys.readouterr().out
    assert "batch_size: None there, 8 now" in fails(*command, "--batch-size", 8)
    (folder / "in.txt").write_text("b\n")
    assert "made from another input" in fails(*command)


def test_a_folder_of_somebody_else_is_never_replaced_and_no_option_is_promised(folder, run, fails):
    (folder / "in.txt").write_text("a\n")
    (folder / "photos").mkdir()
    (folder / "photos" / "one.png").write_bytes(b"precious")
    told = fails("encode", "in.txt", "-o", "photos", "-m", "fake")
    assert "give another --output" in told
    assert "--overwrite" not in told
    assert fails("encode", "in.txt", "-o", "photos", "-m", "fake", "--overwrite")
    assert (folder / "photos" / "one.png").read_bytes() == b"precious"


def test_the_input_is_never_the_output(folder, fails):
    (folder / "in.jsonl").write_text('{"text": "a"}\n')
    assert "is the input" in fails("encode", "in.jsonl", "-o", "in.jsonl", "-m", "fake", "--overwrite")
    assert (folder / "in.jsonl").read_text() == '{"text": "a"}\n'
