import pytest

from instructor_jax.evaluation.local.records import (
    ClusterSets,
    Document,
    JudgedDocuments,
    LabelledPairs,
    LabelledTexts,
    ScoredPairs,
    TrainTest,
)
from instructor_jax.evaluation.local.texts import local_texts, texts_of

FIRST, SECOND = LabelledTexts(["a", "b"], ["x", "y"]), LabelledTexts(["c"], ["x"])


@pytest.mark.parametrize(
    ("record", "texts"),
    [
        (ScoredPairs(["a"], ["b"], [2.5]), ["a", "b"]),
        (LabelledPairs(["a", "b"], ["c", "d"], [0, 1]), ["a", "b", "c", "d"]),
        (TrainTest(FIRST, SECOND), ["a", "b", "c"]),
        (ClusterSets([FIRST, SECOND]), ["a", "b", "c"]),
        (
            JudgedDocuments({"1": Document("b", "title"), "2": Document("c")}, {"q": "a"}, {"q": {"1": 1}}),
            ["a", "b", "title b", "c"],
        ),
    ],
)
def test_every_text_of_a_set_comes(record, texts: list[str]) -> None:
    assert list(texts_of(record)) == texts


def test_sets_are_named_by_their_task(tmp_path) -> None:
    with pytest.raises(ValueError, match="has none of the evaluation sets"):
        list(local_texts(tmp_path))


def test_the_shipped_readers_give_texts(shared) -> None:
    found: dict[str, int] = {}
    for name, text in local_texts(shared / "data" / "raw"):
        assert isinstance(text, str)
        found[name] = found.get(name, 0) + 1
        if len(found) > 3:  # the first sets are small
            break
    assert len(found) > 3
