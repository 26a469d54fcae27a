import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instructor_jax.evaluation.studies.labelled_files import Labels, Pairs, Scored, read_labelled_file

pytest.importorskip("scipy")
pytest.importorskip("sklearn")


def identity_draws(rows: int) -> np.ndarray:
    """Two resamples: the rows themselves, and the first row alone again and again."""
    return np.stack([np.arange(rows), np.zeros(rows, int)])


def encoder(vectors: dict[str, list[float]]):
    return lambda texts: np.array([vectors[text] for text in texts], np.float32)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_labels_against_scikit_learn_s_leave_one_out() -> None:
    from sklearn.model_selection import LeaveOneOut, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    random = np.random.default_rng(0)
    vectors = random.normal(size=(30, 3))
    labels = random.integers(3, size=30).astype(str)
    texts = [str(number) for number in range(30)]
    expected = cross_val_score(KNeighborsClassifier(1, metric="cosine"), vectors, labels, cv=LeaveOneOut())
    encode = encoder(dict(zip(texts, vectors.tolist(), strict=True)))
    measured = Labels(texts, labels.tolist()).measure(encode, encode, identity_draws(30))
    assert measured.score == pytest.approx(100 * expected.mean())
    assert measured.resampled.tolist() == pytest.approx([100 * expected.mean(), 100 * expected[0]])


def test_ranks_by_hand() -> None:
    queries = encoder({"q1": [1, 0], "q2": [0, 1]})
    documents = encoder({"d1": [1, 0.1], "d2": [1, 1], "d3": [-1, 0.9]})
    # From q1: d1, d2, d3. From q2: d2 (0.707), d3 (0.669), d1.
    pairs = Pairs(["q1", "q2"], ["d1", "d2", "d3"], [[0], [2, 0]])
    measured = pairs.measure(queries, documents, identity_draws(2))
    assert measured.score == pytest.approx(100 * (1 + 1 / 2) / 2)
    assert measured.more == {"recall@1": 50}
    assert measured.resampled.tolist() == pytest.approx([75, 100])


def test_equal_vectors_rank_a_text_last() -> None:
    same = encoder({"q": [1, 0], "a": [1, 0], "b": [1, 0], "c": [1, 0]})
    assert Pairs(["q"], ["a", "b", "c"], [[1]]).measure(same, same, identity_draws(1)).score == pytest.approx(100 / 3)


def test_scores_against_scipy() -> None:
    from scipy.stats import spearmanr

    random = np.random.default_rng(1)
    vectors = {str(number): row for number, row in enumerate(random.normal(size=(20, 4)).tolist())}
    left, right = [str(n) for n in range(10)], [str(n) for n in range(10, 20)]
    scores = random.integers(5, size=10).astype(float)  # with ties

    def cosine(first: str, second: str) -> float:
        a, b = np.array(vectors[first]), np.array(vectors[second])
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    def spearman(first: np.ndarray, second: np.ndarray) -> float:
        result: Any = spearmanr(first, second)  # its type stubs lag behind
        return result.statistic

    cosines = np.array([cosine(*pair) for pair in zip(left, right, strict=True)])
    draws = random.integers(10, size=(5, 10))
    measured = Scored(left, right, scores.tolist()).measure(encoder(vectors), encoder(vectors), draws)
    assert measured.score == pytest.approx(100 * spearman(cosines, scores))
    expected = [100 * spearman(cosines[draw], scores[draw]) for draw in draws]
    assert measured.resampled.tolist() == pytest.approx(expected)


def test_constant_cosines_score_nothing() -> None:
    same = encoder({"a": [1, 0], "b": [1, 0], "c": [1, 0]})
    scored = Scored(["a", "b"], ["c", "c"], [1.0, 2.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a user has no use for SciPy's
        measured = scored.measure(same, same, identity_draws(2))
    assert measured.score == 0
    assert measured.resampled.tolist() == [0, 0]


def test_columns_decide_the_kind(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text('text,label\n"a, b",x\nc,x\nd,y\n')
    assert read_labelled_file(tmp_path / "labels.csv") == Labels(["a, b", "c", "d"], ["x", "x", "y"])
    numbered = write(tmp_path / "labels.jsonl", [{"text": "a", "label": n} for n in (1, 1, 2)])
    assert read_labelled_file(numbered) == Labels(["a", "a", "a"], ["1", "1", "2"])
    rows = [{"query": "q", "positive": "a"}, {"query": "r", "positive": "b"}, {"query": "q", "positive": "b"}]
    pairs = read_labelled_file(write(tmp_path / "pairs.jsonl", rows))
    assert pairs == Pairs(["q", "r"], ["a", "b"], [[0, 1], [1]])
    (tmp_path / "scored.tsv").write_text("sentence1\tsentence2\tscore\na\tb\t1\nc\td\t2.5\n")
    assert read_labelled_file(tmp_path / "scored.tsv") == Scored(["a", "c"], ["b", "d"], [1.0, 2.5])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"sentence": "a"}], r"its columns \(sentence\) are none of: text,label"),
        ([{"text": "a", "label": "x"}, {"text": "", "label": "x"}], r"line 2: text must hold text, got ''"),
        ([{"text": "a", "label": "x"}, {"text": "b", "label": None}], r"line 2: label must hold a value, got None"),
        ([{"text": "a", "label": "x"}, {"text": "b", "label": "x"}], r"1 labels in 2 rows; some must be shared"),
        ([{"text": "a", "label": "x"}, {"text": "b", "label": "y"}], r"2 labels in 2 rows; some must be shared"),
        ([{"query": "a", "positive": "x"}], r"holds 1 different positive"),
        ([{"text1": "a", "text2": "b", "score": "high"}], r"line 1: score must be a number, got 'high'"),
        ([{"text1": "a", "text2": "b", "score": 1}] * 2, r"all 2 scores are equal"),
    ],
)
def test_a_file_that_cannot_be_compared_says_why(tmp_path: Path, rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_labelled_file(write(tmp_path / "rows.jsonl", rows))
