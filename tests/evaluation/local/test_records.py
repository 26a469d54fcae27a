"""What a record refuses: a reader that goes wrong must not give a score."""

import pytest

from instructor_jax.evaluation.local.records import (
    ClusterSets,
    Document,
    JudgedDocuments,
    LabelledPairs,
    LabelledTexts,
    ScoredPairs,
)

CORPUS = {"d1": Document("one"), "d2": Document("two", "title")}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ScoredPairs(["a"], ["b", "c"], [1.0]), "one length.*'second': 2"),
        (lambda: ScoredPairs([], [], []), "not empty"),
        (lambda: ScoredPairs(["a"], ["b"], [5.5]), "5.5 is outside 0 to 5"),
        (lambda: LabelledPairs(["a", "b"], ["c", "d"], [1, 1]), "both the labels 0 and 1"),
        (lambda: LabelledTexts(["a"], []), "one length"),
        (lambda: ClusterSets([]), "no set"),
        (lambda: JudgedDocuments(CORPUS, {}, {}), "no query"),
        (lambda: JudgedDocuments(CORPUS, {"q": "text"}, {"p": {"d1": 1}}), r"\['p', 'q'\]"),
        (lambda: JudgedDocuments(CORPUS, {"q": "text"}, {"q": {"d1": 0}}), "at least 1"),
        (lambda: JudgedDocuments(CORPUS, {"q": "text"}, {"q": {"d9": 1}}), "'d9'.*not in the corpus"),
        (lambda: JudgedDocuments(CORPUS, {"q": "text"}, {"q": {"d1": 1}}, {"q": ["d1", "d8"]}), "'d8'"),
    ],
)
def test_contradictions_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_rows_keep_texts_and_labels_together():
    assert LabelledTexts(["a", "b", "c"], ["x", "y", "z"]).rows([2, 0]) == LabelledTexts(["c", "a"], ["z", "x"])
