"""Labelled texts in the files' own formats."""

import json

import pytest

from instructor_jax.evaluation.local.classification import (
    read_amazon_counterfactual,
    read_banking77,
    read_davidson,
    read_nlu_corpus,
    read_opinions,
    read_tweeteval,
)
from instructor_jax.evaluation.local.clinc150 import read_clinc150
from instructor_jax.evaluation.local.records import LabelledTexts, TrainTest


def test_tables_of_texts_and_labels(tmp_path):
    for part in ("train", "test"):
        (tmp_path / f"{part}.csv").write_text(f'text,category\n"Where, {part}?",lost_card\n')
        (tmp_path / f"EN_{part}.tsv").write_text(f'sentence\tis_counterfactual\n"I ""wish"" {part}"\t1\n')
    assert read_banking77(tmp_path) == TrainTest(
        LabelledTexts(["Where, train?"], ["lost_card"]), LabelledTexts(["Where, test?"], ["lost_card"])
    )
    assert read_amazon_counterfactual(tmp_path).test == LabelledTexts(['I "wish" test'], ["1"])


def test_clinc_without_requests_out_of_scope(tmp_path):
    content = {"train": [["a", "x"]], "test": [["b", "x"], ["c", "y"]], "val": [["d", "x"]], "oos_test": [["e", "oos"]]}
    (tmp_path / "data_full.json").write_text(json.dumps(content))
    assert read_clinc150(tmp_path) == TrainTest(LabelledTexts(["a"], ["x"]), LabelledTexts(["b", "c"], ["x", "y"]))
    (tmp_path / "data_full.json").write_text(json.dumps({**content, "test": [["b", "x"], ["c"]]}))
    with pytest.raises(ValueError, match=r"test\[1\]: must be \[text, intent\]"):
        read_clinc150(tmp_path)


def test_tweeteval_files_are_aligned(tmp_path):
    for part in ("train", "val", "test"):
        (tmp_path / f"{part}_text.txt").write_text(f"@user {part} \nsecond\n")
        (tmp_path / f"{part}_labels.txt").write_text("1\n0\n")
    split = read_tweeteval(tmp_path)
    assert list(split.test.texts) == ["@user test ", "second"]
    assert list(split.train.labels) == ["1", "0"]


def test_sets_without_a_split_get_one(tmp_path):
    tweets = "".join(f'{n},3,0,0,3,{n % 2},"tweet, {n}"\n' for n in range(20))
    (tmp_path / "labeled_data.csv").write_text(",count,hate_speech,offensive_language,neither,class,tweet\n" + tweets)
    (tmp_path / "pos").write_bytes("".join(f"bön {n}\n" for n in range(6)).encode("latin-1"))
    (tmp_path / "neg").write_bytes("".join(f"mal {n}\n" for n in range(4)).encode("latin-1"))
    toxicity, opinions = read_davidson(tmp_path), read_opinions(tmp_path, "pos", "neg")
    assert sorted(toxicity.test.labels) == ["0", "0", "1", "1"]
    assert sorted([*opinions.train.labels]) == sorted([*opinions.test.labels]) == ["negative"] * 2 + ["positive"] * 3
    for text, label in zip(opinions.test.texts, opinions.test.labels, strict=True):
        assert text.startswith("bön" if label == "positive" else "mal")


def test_nlu_corpora_say_which_questions_train(tmp_path):
    sentences = [{"text": "a", "intent": "x", "training": True}, {"text": "b", "intent": "y", "training": False}]
    (tmp_path / "ChatbotCorpus.json").write_text(json.dumps({"sentences": sentences}))
    split = read_nlu_corpus(tmp_path, "Chatbot")
    assert (list(split.train.texts), list(split.test.texts), list(split.test.labels)) == (["a"], ["b"], ["y"])
