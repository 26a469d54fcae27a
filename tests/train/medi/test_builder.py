import dataclasses
import json
import logging

import pytest

from instructor_jax.text.instructions import Instruction
from instructor_jax.train.medi import builder
from instructor_jax.train.medi.builder import BuildSettings, build
from instructor_jax.train.medi.files.records import Instance, Licence, Row
from instructor_jax.train.medi.mining.scorers import TfidfScorer
from instructor_jax.train.medi.readers.source import labelled_source, pair_source
from instructor_jax.train.medi.storage.store import MediStore

ASK, FIND, SORT = Instruction("", "question"), Instruction("", "answer"), Instruction("", "word", "sorting")
LICENCE = {"licence": Licence("MIT", True)}
ANIMALS = ("ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen")
FRUITS = ("apple", "berry", "cherry", "date", "elder", "fig", "grape")


def read_questions(folder):
    for line in (folder / "rows.jsonl").read_text().splitlines():
        number = json.loads(line)
        yield Row(f"What is {number} plus {number}?", f"{number} plus {number} is {2 * number}.", f"{number}")


def read_words(folder):
    for kind, words in (("animal", ANIMALS), ("fruit", FRUITS)):
        yield from (Instance(f"a {word}", kind, word, label=kind) for word in words)


def read_one(folder):
    yield Instance("alone", "x", "1", label="x")


@pytest.fixture
def root(tmp_path):
    (tmp_path / "raw" / "sums").mkdir(parents=True)
    (tmp_path / "raw" / "sums" / "rows.jsonl").write_text("\n".join(map(str, range(12))))
    return tmp_path / "raw"


SOURCES = [
    pair_source("sums", "sums", read_questions, ASK, FIND, **LICENCE),
    labelled_source("words", "words", read_words, SORT, **LICENCE),
    labelled_source("alone", "alone", read_one, SORT, **LICENCE),
]


def test_pairs_and_instances_become_tasks(root, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        reports = build(SOURCES, root, tmp_path / "medi", TfidfScorer(), BuildSettings(negatives=2))
    store = MediStore(tmp_path / "medi")
    assert store.tasks == ("sums", "words")
    assert [(one.name, one.read, one.rows) for one in reports] == [("sums", 12, 12), ("words", 15, 15), ("alone", 1, 0)]
    assert "alone: no row is left of 1" in caplog.text
    for example in store.read(store.rows("words")):
        kinds = [ANIMALS if side.text[2:] in ANIMALS else FRUITS for side in (example.query, example.positive)]
        assert kinds[0] is kinds[1]
        assert len(example.negatives) == 2
        assert all(side.text[2:] not in kinds[0] for side in example.negatives)
    sums = store.read(store.rows("sums"))
    assert all(len(example.negatives) == 2 for example in sums)
    assert sums[0].query.instruction == str(ASK)
    assert {side.instruction for side in (sums[0].positive, *sums[0].negatives)} == {str(FIND)}
    about = store.entry("words")["about"]
    assert (about["licence"], about["folder"], about["read"]) == ("MIT", "words", 15)
    assert about["mining"] == {"rows": 15, "examples": 15}
    assert store.metadata["about"]["scorer"] == TfidfScorer().name
    assert not (tmp_path / "medi.partial").exists()


def free_text_source():
    """30 questions whose answer another one has, 10 questions whose answer is their own."""

    def read(folder):
        for i in range(40):
            yield Instance(
                f"question {i} of {i * 7919}", f"answer number {i * i % 1000 if i > 29 else i % 15}", f"{i:02}"
            )

    source = labelled_source("free", "free", read, Instruction("science", "question", "x"), **LICENCE)
    return dataclasses.replace(source, kind="symmetric")


@pytest.mark.slow
def test_free_text_rows_without_partner_become_answers(root, tmp_path, monkeypatch):
    monkeypatch.setattr(builder, "_FEWEST", 5)
    settings = BuildSettings(agreement=0.99)
    reports = build([free_text_source()], root, tmp_path / "medi", TfidfScorer(), settings)
    assert [(one.name, one.rows) for one in reports] == [("free", 30), ("free_answers", 10)]
    answers = MediStore(tmp_path / "medi").read(range(30, 40))
    assert {one.positive.instruction for one in answers} == {"Represent the science answer for retrieval: "}
    assert all(one.positive.text.startswith("answer") and len(one.negatives) == 1 for one in answers)
    monkeypatch.setattr(builder, "_FEWEST", 31)
    reports = build([free_text_source()], root, tmp_path / "few", TfidfScorer(), settings)
    assert [(one.name, one.rows) for one in reports] == [("free", 0), ("free_answers", 40)]
    settings = BuildSettings(agreement=-1.0, answers=False)
    reports = build([free_text_source()], root, tmp_path / "paper", TfidfScorer(), settings)
    assert [(one.name, one.rows) for one in reports] == [("free", 40)]


def test_a_killed_build_goes_on_and_gives_the_same(root, tmp_path, monkeypatch):
    build(SOURCES, root, tmp_path / "straight", TfidfScorer(), BuildSettings())
    calls = []
    finished_rows = builder.finished_rows

    def killed_at_second(source, *rest):
        calls.append(source.name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return finished_rows(source, *rest)

    monkeypatch.setattr(builder, "finished_rows", killed_at_second)
    with pytest.raises(KeyboardInterrupt):
        build(SOURCES, root, tmp_path / "killed", TfidfScorer(), BuildSettings())
    assert not (tmp_path / "killed").exists()
    reports = build(SOURCES, root, tmp_path / "killed", TfidfScorer(), BuildSettings())
    assert calls == ["sums", "words", "words", "alone"]
    assert reports[0].seconds == 0
    assert reports[0].rows == 12
    assert MediStore(tmp_path / "killed").fingerprint == MediStore(tmp_path / "straight").fingerprint


@pytest.mark.parametrize("change", ["settings", "scorer", "instruction", "reader", "file", "nothing"])
def test_a_finished_task_is_built_again_only_if_something_changed(root, tmp_path, change):
    source = SOURCES[0]
    staging = builder.Staging(tmp_path / "partial")
    first = builder.build_task(source, root, staging, TfidfScorer(), BuildSettings())
    assert first.seconds > 0
    settings = BuildSettings(keep=0.5) if change == "settings" else BuildSettings()
    scorer = TfidfScorer(64) if change == "scorer" else TfidfScorer()
    if change == "instruction":
        source = pair_source("sums", "sums", read_questions, SORT, FIND, **LICENCE)
    if change == "reader":
        source = dataclasses.replace(source, read=lambda folder: SOURCES[0].read(folder))
    if change == "file":
        (root / "sums" / "rows.jsonl").write_text("\n".join(map(str, range(13))))
    again = builder.build_task(source, root, staging, scorer, settings)
    assert (again.seconds > 0) == (change != "nothing")
    assert again.rows == (13 if change == "file" else 12)


def test_evaluation_folders_are_refused(root, tmp_path):
    source = dataclasses.replace(SOURCES[0], folder="eval_sums")
    (root / "sums").rename(root / "eval_sums")
    with pytest.raises(ValueError, match="evaluation folder 'eval_sums'"):
        build([source], root, tmp_path / "medi", TfidfScorer(), BuildSettings())


def test_an_existing_store_is_noticed_before_the_work(root, tmp_path, monkeypatch):
    build(SOURCES[1:2], root, tmp_path / "medi", TfidfScorer(), BuildSettings())
    monkeypatch.setattr(builder, "build_task", lambda *_: pytest.fail("worked before looking"))
    with pytest.raises(FileExistsError, match="--replace"):
        build(SOURCES, root, tmp_path / "medi", TfidfScorer(), BuildSettings())


@pytest.mark.parametrize("wrong", [{"negatives": -1}, {"keep": 2.0}, {"margin": 1.5}, {"agreement": 3.0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BuildSettings(**wrong)
