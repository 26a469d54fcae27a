import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instructor_jax.evaluation.studies import compare_instructions as module
from instructor_jax.evaluation.studies.compare_instructions import compare_instructions
from instructor_jax.evaluation.studies.labelled_files import Labels, Pairs
from instructor_jax.evaluation.studies.ranking import rank
from instructor_jax.model_options import ModelOptions

pytest.importorskip("scipy")
pytest.importorskip("sklearn")

GOOD, BAD = "Represent the animal for classification: ", "Represent the letters"
TEXTS = ["cat", "dog", "cow", "oak", "elm", "fir"]
LABELS = ["animal"] * 3 + ["tree"] * 3


class Taught:
    """Under the good instruction texts lie with their label, under any other by chance.

    Attributes:
        seen: every (instruction, texts).
    """

    def __init__(self) -> None:
        self.seen: list[tuple[str, list[str]]] = []

    def encode(self, texts: list[str], *, instruction: str, show_progress_bar: bool) -> np.ndarray:
        self.seen.append((instruction, list(texts)))
        noise = np.random.default_rng(len(instruction)).normal(size=(len(texts), 2))
        if instruction != GOOD:
            return noise.astype(np.float32)
        labels = np.array([[text in TEXTS[:3], text not in TEXTS[:3]] for text in texts], float)
        return (labels + 0.01 * noise).astype(np.float32)


@pytest.fixture
def taught(monkeypatch: pytest.MonkeyPatch) -> Taught:
    embedder = Taught()
    monkeypatch.setattr(module, "load_model", lambda options: embedder)
    return embedder


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    path = tmp_path / "animals.csv"
    path.write_text("text,label\n" + "".join(f"{row[0]},{row[1]}\n" for row in zip(TEXTS, LABELS, strict=True)))
    return path


MODEL = ModelOptions(model="some/model")


def test_the_instruction_that_separates_the_labels_leads() -> None:
    ranking = rank(Taught(), Labels(TEXTS * 5, LABELS * 5), [BAD, GOOD, ""], resamples=200)
    assert ranking[0].instruction == GOOD
    assert ranking[0].score == 100
    assert ranking[0].interval == (100, 100)
    assert ranking[0].behind is None
    for entry in ranking[1:]:
        assert entry.behind is not None
        assert 0 < entry.behind[0] <= 100 - entry.score <= entry.behind[1]
        assert entry.interval[0] <= entry.score <= entry.interval[1]
    assert rank(Taught(), Labels(TEXTS * 5, LABELS * 5), [BAD, GOOD, ""], resamples=200) == ranking


def test_an_instruction_is_never_behind_its_equal() -> None:
    ranking = rank(Taught(), Labels(TEXTS, LABELS), [BAD, BAD + " "], resamples=50)
    same = [entry for entry in ranking if entry.score == ranking[0].score]
    twins = rank(Taught(), Labels(TEXTS, LABELS), [GOOD, GOOD], resamples=50)
    assert twins[1].behind == (0, 0)
    assert same[0].instruction == ranking[0].instruction


def test_positives_are_read_under_their_own_instruction_where_one_is_given() -> None:
    pairs = Pairs(["cat", "oak"], ["dog", "elm"], [[0], [1]])
    for given, expected in ((None, [GOOD, GOOD]), ("Represent the answer: ", [GOOD, "Represent the answer: "])):
        embedder = Taught()
        rank(embedder, pairs, [GOOD], given, resamples=10)
        assert [instruction for instruction, _ in embedder.seen] == expected


def test_a_table_a_file_and_a_page(
    taught: Taught, animals: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    output = tmp_path / "new" / "report"
    compare_instructions(animals, instruction=(BAD, GOOD, BAD), output=output, resamples=100, model=MODEL)
    printed = capsys.readouterr().out
    assert printed.splitlines()[0] == "6 rows"
    assert printed.splitlines()[2].startswith("1     100.00")
    assert printed.splitlines()[2].endswith(f'"{GOOD}"')  # the blank at its end is seen
    assert "(none)" in printed
    assert f'"{BAD}" does not end in' in printed
    written = json.loads((tmp_path / "new" / "report.json").read_text())
    assert written["ranking"][0]["instruction"] == GOOD
    assert len(written["ranking"]) == 3  # each once, and none
    assert written["rows"] == 6
    page = (tmp_path / "new" / "report.html").read_text()
    assert "data:image/png;base64," in page
    assert "src=&quot;http" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert sorted(path.name for path in output.parent.iterdir()) == ["report.html", "report.json"]


def test_texts_from_files_are_shown_not_obeyed(taught: Taught, animals: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    compare_instructions(animals, instruction=("<b>$x$: ",), output=tmp_path / "r", resamples=10, model=MODEL)
    assert "<b>$x$" not in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("candidates.txt", f"{GOOD}\n{BAD}\n\n"),
        ("candidates.csv", f"instruction,note\n{GOOD},x\n{BAD},y\n"),
        ("candidates.jsonl", f'{{"instruction": "{GOOD}"}}\n{{"instruction": "{BAD}"}}\n'),
    ],
)
def test_candidates_come_from_a_file_with_their_blanks(
    taught: Taught, animals: Path, tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).write_text(content)
    compare_instructions(animals, instructions_file=tmp_path / name, baseline=False, resamples=10, model=MODEL)
    assert [instruction for instruction, _ in taught.seen] == [GOOD, BAD]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"instruction": ()}, "no candidates; give --instruction"),
        ({"instruction": (GOOD,), "resamples": 0}, "--resamples 0 must be at least 1"),
    ],
)
def test_what_is_missing_is_said_before_a_model_is_loaded(
    taught: Taught, animals: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        compare_instructions(animals, **{"model": MODEL, **options})
    assert not taught.seen


def test_on_a_real_embedder(embedder, animals: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(module, "load_model", lambda options: embedder)
    compare_instructions(animals, instruction=(GOOD,), resamples=20, model=MODEL)
    assert "accuracy of the nearest neighbour" in capsys.readouterr().out
