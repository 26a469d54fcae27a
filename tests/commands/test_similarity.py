"""`instructor-jax similarity` with a stand-in for the model."""

import json
import sys

import numpy as np
import pytest

from instructor_jax.commands.similarity import matrix_text
from instructor_jax.io.printable import excerpt


def test_two_texts_are_one_line(run, capsys, fake):
    run("similarity", "a cat", "a dog", "-m", "fake", "-i", "R: ")
    score, left, right = capsys.readouterr().out.split(maxsplit=3)[0], "a cat", "a dog"
    expected = fake.vector("fake", "R: ", left) @ fake.vector("fake", "R: ", right)
    assert float(score) == pytest.approx(expected, abs=5e-5)  # four digits are printed


def test_more_texts_are_a_matrix(run, capsys):
    run("similarity", "a cat", "a dog", "a\ncat", "-m", "fake")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["1", "2", "3"]
    assert [line.split(maxsplit=4)[-1] for line in lines[1:]] == ["a cat", "a dog", "a cat"]
    assert float(lines[1].split()[1]) == 1.0


def test_the_matrix_by_hand():
    scores = np.array([[1.0, -0.25], [-0.25, 1.0]], dtype=np.float32)
    assert matrix_text(scores, ["a", "b" * 50], width=42).splitlines() == [
        "           1       2",
        "  1   1.0000 -0.2500  a",
        "  2  -0.2500  1.0000  " + "b" * 19 + "…",
    ]


def test_json_has_the_matrix(run, capsys, fake):
    run("similarity", "a", "b", "c", "-m", "fake", "--json")
    result = json.loads(capsys.readouterr().out)
    vectors = np.stack([fake.vector("fake", "", text) for text in "abc"])
    assert result["texts"] == ["a", "b", "c"]
    np.testing.assert_allclose(result["similarity"], vectors @ vectors.T, atol=1e-6)  # six digits are printed


@pytest.mark.parametrize(
    ("name", "data", "options"),
    [
        ("p.tsv", "a cat\ta dog\nx\tx\n", ["--no-header"]),
        ("p.csv", "score,sentence2,sentence1\n1,a dog,a cat\n2,x,x\n", []),
        ("p.jsonl", '{"l": "a cat", "m": 0, "r": "a dog"}\n{"l": "x", "m": 0, "r": "x"}\n', ["--columns", "l", "r"]),
    ],
)
def test_pairs_of_a_file(name, data, options, tmp_path, run, capsys):
    (tmp_path / name).write_text(data)
    run("similarity", "--pairs", tmp_path / name, "-m", "fake", "--json", *options)
    first, second = json.loads(capsys.readouterr().out)
    assert (first["texts"], second["texts"]) == (["a cat", "a dog"], ["x", "x"])
    assert second["similarity"] == pytest.approx(1.0, abs=1e-6)
    assert first["similarity"] < 0.95
    run("similarity", "--pairs", tmp_path / name, "-m", "fake", *options)
    assert capsys.readouterr().out.splitlines()[1].split() == ["1.0000", "x", "x"]


def test_heat_map(tmp_path, run):
    pytest.importorskip("matplotlib")
    run("similarity", "a $x$ cat", "日本", "c\nd", "-m", "fake", "-i", "$R$: ", "--heatmap", tmp_path / "h.png")
    assert (tmp_path / "h.png").read_bytes().startswith(b"\x89PNG")


def test_heat_map_without_matplotlib_names_the_extra(monkeypatch, fails, fake):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "pip install 'instructor-jax[plots]'" in fails("similarity", "a", "b", "-m", "fake", "--heatmap", "h.png")
    assert fake.loaded == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-m", "fake"], "give either texts"),
        (["a", "-m", "fake"], "at least two texts, got 1"),
        (["a", "--pairs", "p.tsv", "-m", "fake"], "give either texts"),
        (["--pairs", "three.csv", "-m", "fake"], "which two columns? name them with --columns: a, b, c"),
        (["--pairs", "three.csv", "-m", "fake", "--columns", "a", "z"], "has no column 'z'"),
        (["--pairs", "null.jsonl", "-m", "fake"], "null.jsonl, line 2"),
        (["a", "b", "-m", "fake", "--heatmap", "h.gif"], "must be one of .png"),
    ],
)
def test_errors(arguments, says, fails, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "three.csv").write_text("a,b,c\n1,2,3\n")
    (tmp_path / "null.jsonl").write_text('{"a": "x", "b": "y"}\n{"a": "x", "b": null}\n')
    assert says in fails("similarity", *arguments)


def test_one_line_cuts_and_flattens():
    assert excerpt("a\n b\tc", 10) == "a b c"
    assert excerpt("abcdef", 4) == "abc…"
