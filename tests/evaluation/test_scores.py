"""Files of scores: whole, read back equal, and only trusted under the settings they were made under."""

import dataclasses

import pytest

from instructor_jax.evaluation.scores import ScoreFolder, TaskScore, fingerprint, missing

SCORE = TaskScore("mteb", "STS12", "STS", 71.25, "cosine_spearman", {"note": "ü", "limit": None})


def test_a_score_is_read_back_under_the_same_settings_only(tmp_path):
    folder = ScoreFolder(tmp_path)
    folder.save(SCORE, {"model": "a", "limit": 5})
    assert folder.finished("mteb", "STS12", {"limit": 5, "model": "a"}) == SCORE
    assert folder.finished("mteb", "STS12", {"limit": 6, "model": "a"}) is None
    assert folder.finished("mteb", "STS13", {"limit": 5, "model": "a"}) is None
    assert folder.all() == [SCORE]
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["STS12.json"]


def test_a_missing_task_is_tried_again(tmp_path):
    folder = ScoreFolder(tmp_path)
    absent = missing("local", "X", "STS", "", "no\n  folder")
    folder.save(absent, {})
    assert absent.reason == "no folder"
    assert folder.finished("local", "X", {}) is None
    assert folder.all() == [absent]


def test_a_score_or_a_reason_but_not_both():
    with pytest.raises(ValueError, match="exactly one"):
        dataclasses.replace(SCORE, score=None)
    with pytest.raises(ValueError, match="exactly one"):
        dataclasses.replace(SCORE, reason="why")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": 7}'])
def test_a_broken_file_is_named(tmp_path, text):
    folder = ScoreFolder(tmp_path)
    folder.path("mteb", "STS12").parent.mkdir()
    folder.path("mteb", "STS12").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"STS12\.json.*[Dd]elete it"):
        folder.finished("mteb", "STS12", {})


def test_fingerprints_ignore_order_and_see_values():
    assert fingerprint({"a": 1, "b": {"c": 2, "d": None}}) == fingerprint({"b": {"d": None, "c": 2}, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
