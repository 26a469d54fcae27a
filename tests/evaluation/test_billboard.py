import gzip
import json
import random
from pathlib import Path

import numpy as np
import pytest

from instructor_jax.evaluation.billboard import (
    SETS,
    agreement,
    best_cosines,
    find_files,
    jobs,
    read_outputs,
)

from .known_vectors import KnownVectors, table_of

scipy_stats = pytest.importorskip("scipy.stats")
TABLE = table_of("mscoco", "cnndm", "mt")
REFERENCES = [{"seg_id": "a", "refs": ["east", "north"]}, {"seg_id": "b", "refs": ["west", "south"]}]
OUTPUTS = [
    {"SYS": "one", "seg_id": "a", "hyp": "east", "human_score": 5.0},
    {"SYS": "two", "seg_id": "a", "hyp": "north-east", "human_score": 4.0},
    {"SYS": "one", "seg_id": "b", "hyp": "north", "human_score": 1.5},
    {"SYS": "two", "seg_id": "b", "hyp": "north-east", "human_score": 2},
]
# Not of length 1: the cosine must not care.
VECTORS = {"east": [2, 0], "north": [0, 3], "west": [-1, 0], "south": [0, -1], "north-east": [4, 4]}
# Of "east" to east; of north-east to either; of north to west (0; to south -1); of north-east to west or south.
COSINES = [1, np.sqrt(0.5), 0, -np.sqrt(0.5)]


def write_set(folder: Path, name: str, references: list[dict], outputs: list[dict]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for stem, rows in ((f"{name}_references", references), (f"{name}_THumB-1.0", outputs)):
        (folder / f"{stem}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_the_figure_is_one_pearson_correlation_of_the_largest_cosines(tmp_path: Path) -> None:
    write_set(tmp_path / "eval_billboard_mscoco", "mscoco", REFERENCES, OUTPUTS)
    embedder = KnownVectors(VECTORS)
    score = jobs(tmp_path, TABLE)[0].run(embedder)
    expected = scipy_stats.pearsonr(COSINES, [5, 4, 1.5, 2]).statistic
    assert score.score == pytest.approx(100 * expected, abs=1e-4)  # vectors are float32
    assert (score.task, score.kind, score.metric) == ("mscoco", "Billboard", "pearson")
    assert {instruction for instruction, _ in embedder.seen} == {"mscoco query: "}


def test_largest_cosine_by_hand() -> None:
    outputs, references = np.array([[1.0, 0], [0, 0]]), np.array([[0.0, 1], [3, 0], [-1, 0]])
    assert best_cosines(outputs, references, [[0, 2], [0, 1]]).tolist() == [0, 0]  # zeros have no direction
    assert best_cosines(outputs[:1], references, [[0, 1, 2]]).tolist() == [1]


def test_the_order_of_the_outputs_does_not_matter_but_is_noted(tmp_path: Path) -> None:
    shuffled = random.Random(1).sample(OUTPUTS, len(OUTPUTS))
    scores = []
    for name, rows in (("grouped", OUTPUTS), ("shuffled", shuffled)):
        write_set(tmp_path / name / "mscoco", "mscoco", REFERENCES, rows)
        files = find_files(tmp_path / name, SETS[0])
        assert files is not None
        judged = read_outputs(*files)
        assert judged.in_reference_order == (name == "grouped")
        assert judged.systems == 2
        scores.append(agreement(KnownVectors(VECTORS), judged, ""))
    assert scores[0] == pytest.approx(scores[1], abs=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seg_id": "c"}, r"line 2: segment 'c' is not in mscoco_references"),
        ({"SYS": "one"}, r"line 2: a second output of 'one' for segment 'a'"),
        ({"hyp": None}, r"line 2: hyp must be text"),
        ({"human_score": "4"}, r"line 2: human_score must be a number, got '4'"),
        ({"human_score": float("nan")}, r"line 2: human_score must be a number"),
    ],
)
def test_broken_outputs_are_refused_with_their_line(tmp_path: Path, change: dict, message: str) -> None:
    write_set(tmp_path / "mscoco", "mscoco", REFERENCES, [OUTPUTS[0], {**OUTPUTS[1], **change}, *OUTPUTS[2:]])
    files = find_files(tmp_path, SETS[0])
    assert files is not None
    with pytest.raises(ValueError, match=message):
        read_outputs(*files)


@pytest.mark.parametrize(
    ("references", "message"),
    [
        ([REFERENCES[0], REFERENCES[0]], r"line 2: segment 'a' is there a second time"),
        ([REFERENCES[0], {"seg_id": "b", "refs": []}], r"line 2: refs must be a list of at least one text"),
    ],
)
def test_broken_references_are_refused_with_their_line(tmp_path: Path, references: list, message: str) -> None:
    write_set(tmp_path / "mscoco", "mscoco", references, OUTPUTS)
    files = find_files(tmp_path, SETS[0])
    assert files is not None
    with pytest.raises(ValueError, match=message):
        read_outputs(*files)


def test_absent_sets_are_reported_and_translations_have_their_own_file_names(tmp_path: Path) -> None:
    write_set(tmp_path / "wmt20-zh-en", "wmt20-zh-en", REFERENCES, OUTPUTS)
    mscoco, cnndm, mt = (job.run(KnownVectors(VECTORS)) for job in jobs(tmp_path, TABLE))
    assert mt.score is not None
    assert mscoco.score is None
    assert "eval_billboard_mscoco" in mscoco.reason
    assert "mscoco_references.jsonl" in mscoco.reason
    assert cnndm.score is None


def test_equal_vectors_have_no_correlation_and_say_so(tmp_path: Path) -> None:
    write_set(tmp_path / "mscoco", "mscoco", REFERENCES, OUTPUTS)
    score = jobs(tmp_path, TABLE)[0].run(KnownVectors({text: [1, 0] for text in VECTORS}))
    assert score.score is None
    assert "not defined" in score.reason


def test_other_data_are_other_settings(tmp_path: Path) -> None:
    write_set(tmp_path / "mscoco", "mscoco", REFERENCES, OUTPUTS)
    before = jobs(tmp_path, TABLE)[0].settings
    assert jobs(tmp_path, TABLE)[0].settings == before
    write_set(tmp_path / "mscoco", "mscoco", REFERENCES, OUTPUTS[:3])
    assert jobs(tmp_path, TABLE)[0].settings != before


@pytest.mark.parametrize(("name", "segments", "systems", "references"), [("mscoco", 500, 5, 4), ("cnndm", 100, 18, 10)])
def test_published_sets_by_the_original_arithmetic(
    shared: Path, name: str, segments: int, systems: int, references: int
) -> None:
    """The original reshapes by position; on the published files that gives the same figure."""
    folder = shared / "data" / "raw" / f"eval_billboard_{name}"
    if not folder.is_dir():
        pytest.skip("the set is not there")

    def lines(stem: str) -> list[dict]:
        with gzip.open(folder / f"{name}_{stem}.jsonl.gz", "rt") as file:
            return [json.loads(line) for line in file]

    refs, hyps = lines("references"), lines("THumB-1.0")
    embedder = KnownVectors()
    left = embedder.encode([row["hyp"] for row in hyps], f"{name} query: ").astype(np.float64)
    right = embedder.encode([text for row in refs for text in row["refs"]], f"{name} query: ").astype(np.float64)
    left, right = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (left, right))
    left, right = left.reshape(segments, systems, -1), right.reshape(segments, references, -1)
    best = np.einsum("sid,srd->sir", left, right).max(axis=-1).reshape(-1)
    expected = scipy_stats.pearsonr([row["human_score"] for row in hyps], best).statistic
    score = next(job for job in jobs(folder.parent, TABLE) if job.task == name).run(KnownVectors())
    assert score.score == pytest.approx(100 * expected, abs=1e-6)  # both in float64
    assert score.details["outputs_in_reference_order"]
    assert (score.details["segments"], score.details["systems"]) == (segments, systems)
