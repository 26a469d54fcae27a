from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instructor_jax.evaluation.prompt_retrieval import jobs as prompt_retrieval
from instructor_jax.evaluation.prompt_retrieval.data import PromptRows
from instructor_jax.evaluation.prompt_retrieval.jobs import (
    jobs,
    label_agreement,
    predictions,
    rouge_l,
    similarities,
)
from instructor_jax.evaluation.prompt_retrieval.tasks import TASKS

from ..known_vectors import KnownVectors, table_of
from .test_data import BY_NAME, write_rows

TABLE = table_of(*BY_NAME)


class Parrot:
    """A language model that answers with the output of the last demonstration, and counts letters as tokens.

    Attributes:
        shown: the demonstrations of each call.
    """

    name = "parrot"

    def __init__(self) -> None:
        self.shown: list[list[tuple[str, str]]] = []

    def count(self, text: str) -> int:
        return len(text)

    def option_losses(
        self, demonstrations: Sequence[tuple[str, str]], query: str, options: Sequence[str]
    ) -> np.ndarray:
        self.shown.append(list(demonstrations))
        return np.array([float(option != demonstrations[-1][1]) for option in options])

    def write(self, prompt: str) -> str:
        return prompt.rsplit("\n\n", 1)[0].rsplit("title:", 1)[1]


def run(task: str, data: Path, embedder: KnownVectors, model: str | None = None, **options: Any):
    chosen = jobs(data, TABLE, language_model=model, **options)
    return next(job for job in chosen if job.task == task).run(embedder)


def run_all(data: Path, model: str | None = None):
    return [job.run(KnownVectors()) for job in jobs(data, TABLE, language_model=model)]


@pytest.fixture
def parrot(monkeypatch: pytest.MonkeyPatch) -> Parrot:
    learner = Parrot()
    monkeypatch.setattr(prompt_retrieval, "LanguageModel", lambda model: learner)
    return learner


def test_agreement_by_hand() -> None:
    scores = np.array([[0.9, 0.8, 0.1], [0.2, 0.3, 0.9]])
    # Of the first query both of the two nearest are "x"; of the second one (row 1) is "x", the nearest is "y".
    assert label_agreement(scores, ["x", "x"], ["x", "x", "y"], neighbours=2) == 0.75
    assert label_agreement(scores, ["x", "y"], ["x", "x", "y"], neighbours=1) == 1
    assert label_agreement(scores, ["x", "x"], ["x", "x", "y"], neighbours=50) == pytest.approx(2 / 3)


def test_agreement_of_one_neighbour_is_scikit_learn_s_accuracy() -> None:
    neighbors = pytest.importorskip("sklearn.neighbors")
    random = np.random.default_rng(0)
    pool, test = random.normal(size=(40, 4)), random.normal(size=(15, 4))
    labels, wanted = random.integers(3, size=40).astype(str), random.integers(3, size=15).astype(str)
    expected = neighbors.KNeighborsClassifier(1, metric="cosine").fit(pool, labels).score(test, wanted)
    scores = prompt_retrieval.cosines(test, pool)
    assert label_agreement(scores, wanted.tolist(), labels.tolist(), neighbours=1) == pytest.approx(expected)


def test_centring_by_hand() -> None:
    embedder = KnownVectors({"a": [1, 0], "b": [3, 0], "c": [2, 2], "d": [2, 4]})
    rows = PromptRows([{"text": "a", "label": 0}, {"text": "b", "label": 1}], [{"text": "c"}, {"text": "d"}])
    # The pool's mean is (2, 0): (-1, 0) and (1, 0). Bare, c points along (1, 1), d along (1, 2).
    bare = similarities(embedder, rows, BY_NAME["amazon"], "")
    np.testing.assert_allclose(bare, [[-(0.5**0.5), 0.5**0.5], [-(0.2**0.5), 0.2**0.5]], atol=1e-6)  # float32
    # The test's mean is (2, 3): c becomes (0, -1), d (0, 1), at right angles to both.
    np.testing.assert_allclose(similarities(embedder, rows, BY_NAME["sst5"], ""), np.zeros((2, 2)), atol=1e-6)


def test_rouge_of_labels_is_accuracy_and_of_words_a_stemmed_subsequence() -> None:
    pytest.importorskip("rouge_score")
    assert rouge_l(["0", "1", "Yes."], ["0", "2", "Yes."]) == pytest.approx(2 / 3)
    # "cats" and "cat" share a stem. In order: the, cat, sat: 3 of 3 words and 3 of 4.
    assert rouge_l(["the cats sat"], ["the cat sat down"]) == pytest.approx(2 * 1 * 0.75 / 1.75)


def test_a_label_task_end_to_end(tmp_path: Path, parrot: Parrot) -> None:
    pytest.importorskip("rouge_score")
    vectors = {"good": [1, 0.1], "bad": [-1, 0.1], "nice": [0.9, 0.2], "poor": [-0.9, 0.2], "odd": [0.8, -0.1]}
    pool = [{"text": "good", "label": 4}, {"text": "bad", "label": 0}]
    test = [{"text": "nice", "label": 4}, {"text": "poor", "label": 0}, {"text": "odd", "label": 0}]
    write_rows(tmp_path / "sst5", pool=pool, test=test)
    embedder = KnownVectors(vectors)
    score = run("sst5", tmp_path, embedder, "some/model")
    assert score.score == pytest.approx(200 / 3)
    assert score.metric == "rouge_l"
    assert score.details["accuracy"] == pytest.approx(200 / 3)
    assert score.details["demonstrations"] == 2
    assert score.details["language_model"] == "some/model"
    assert score.details["paper_protocol"] is False  # another model than the paper's: no figure for its table
    assert run("sst5", tmp_path, embedder, "EleutherAI/gpt-j-6B").details["paper_protocol"] is True
    assert {instruction for instruction, _ in embedder.seen} == {"sst5 query: "}
    # The most similar is the last that the model reads before the query.
    assert [shown[-1][1] for shown in parrot.shown] == [*("very positive", "very negative", "very positive")] * 2


def test_titles_are_written_after_the_nearest_example(tmp_path: Path, parrot: Parrot) -> None:
    pytest.importorskip("rouge_score")
    task = BY_NAME["coda_title_generation"]
    pool = [{"input": "about cats", "output": ["Cats"]}, {"input": "about dogs", "output": ["Dogs"]}]
    rows = PromptRows(pool, [{"input": "on dogs", "output": ["The dog"]}])
    answers, counts = predictions(parrot, np.array([[0.1, 0.8]]), rows, task)
    assert answers == ["Dogs"]
    assert counts == [2]
    # "dog" of two words, one of one: F = 2 * 1 * 0.5 / 1.5.
    assert prompt_retrieval._score(answers, rows.test, task)[0] == pytest.approx(100 * 2 / 3)


def test_amazon_counts_the_third_worst_reviewer() -> None:
    pytest.importorskip("rouge_score")
    right = {"a": 0, "b": 1, "c": 2, "d": 4}  # of four answers each
    test = [{"label": n % 4, "meta": [reviewer]} for reviewer in right for n in range(4)]
    answers = [str(n % 4) if n < right[reviewer] else "9" for reviewer in right for n in range(4)]
    score, details = prompt_retrieval._score(answers, test, BY_NAME["amazon"])
    assert score == pytest.approx(50)
    assert details["reviewer"] == "c"
    assert details["accuracy"] == pytest.approx(100 * 7 / 16)


def test_the_cheap_mode_says_that_it_is_not_the_paper_s_number(tmp_path: Path) -> None:
    rows = [{"text": f"t{n}", "label": n % 2} for n in range(40)]
    write_rows(tmp_path / "sst5", pool=rows, test=rows[:30])
    score = run("sst5", tmp_path, KnownVectors())
    assert "not the paper's number" in score.metric
    assert score.details["paper_protocol"] is False
    assert score.details["by_chance"] == pytest.approx(50)
    assert score.score == score.details["label_agreement"]


def test_what_cannot_run_is_reported_never_dropped(tmp_path: Path, parrot: Parrot) -> None:
    scores = run_all(tmp_path)
    assert [score.task for score in scores] == [task.task for task in TASKS]
    assert all(score.score is None and "no data" in score.reason for score in scores)
    with_model = {s.task: s for s in run_all(tmp_path, "some/model")}
    for task in ("geoquery", "mwoz"):
        assert "code-davinci-002" in with_model[task].reason
        assert with_model[task].metric == "rouge_l"
    write_rows(tmp_path / "coda_title_generation", coda_title_gen=[{"input": "a", "output": ["b"]}] * 3)
    assert "language model" in run("coda_title_generation", tmp_path, KnownVectors()).reason


def test_local_sets_in_the_cheap_mode(shared: Path) -> None:
    scores = {s.task: s for s in run_all(shared / "data" / "raw")}
    multirc, geoquery = scores["multirc_answerability"], scores["geoquery"]
    # Random vectors agree as often as chance does: of 2,560 neighbours half, so 1 point is the standard error.
    assert multirc.score == pytest.approx(multirc.details["by_chance"], abs=4)
    assert (multirc.details["pool"], multirc.details["test"]) == (3000, 256)
    assert geoquery.score == pytest.approx(geoquery.details["by_chance"], abs=1)
    assert "not reproducible" in geoquery.details["paper_form"]


def test_a_limit_cuts_the_test_rows_and_marks_the_figure(tmp_path: Path, parrot: Parrot) -> None:
    pytest.importorskip("rouge_score")
    rows = [{"text": f"t{n}", "label": n % 2} for n in range(20)]
    write_rows(tmp_path / "sst5", pool=rows, test=rows)
    score = run("sst5", tmp_path, KnownVectors(), "EleutherAI/gpt-j-6B", limit=3)
    assert score.details["test"] == 3
    assert score.details["paper_protocol"] is False
    assert len(parrot.shown) == 3


def test_settings_hold_what_a_score_depends_on(tmp_path: Path) -> None:
    def settings(**options: Any) -> Any:
        return next(job for job in jobs(tmp_path, TABLE, **options) if job.task == "sst5").settings

    plain = settings()
    assert settings(language_model="some/model") != plain
    assert settings(limit=5) != plain
    write_rows(tmp_path / "sst5", pool=[{"text": "a", "label": 1}], test=[{"text": "a", "label": 1}])
    assert settings() != plain
