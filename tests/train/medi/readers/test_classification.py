"""Labelled texts in all their file formats."""

import json

import pytest

from instructor_jax.train.medi.files.records import Instance, Row
from instructor_jax.train.medi.readers import classification as classes


def test_one_file_per_class(make_folder):
    folder = make_folder({"good.gz": "caf\xe9\x85 fine\nnice\n".encode("latin-1"), "bad": b"awful\n"})
    assert list(classes.one_file_per_class(folder, {"good": "positive", "bad": "negative"})) == [
        Instance("café\x85 fine", "positive", "positive:1", "positive"),
        Instance("nice", "positive", "positive:2", "positive"),
        Instance("awful", "negative", "negative:1", "negative"),
    ]


def test_trec(make_folder):
    folder = make_folder({"TREC.train": b"NUM:dist How far ?\n", "TREC.test": b"Who was it ?\n"})
    rows = classes.trec_questions(folder)
    assert next(rows) == Instance("How far ?", "NUM:dist", "train:1", "NUM:dist")
    with pytest.raises(ValueError, match=r"TREC\.test, row 1: must be 'COARSE:fine question'"):
        next(rows)


def test_query_wellformedness(make_folder):
    folder = make_folder({"train.tsv": "What is it ?\t0.8\nWhat it ?\t0.6\n", "dev.tsv": "x\ty\n", "test.tsv": ""})
    rows = classes.query_wellformedness(folder)
    assert [next(rows).label, next(rows).label] == ["well formed", "not well formed"]
    with pytest.raises(ValueError, match=r"dev\.tsv, row 1: the share of raters 'y'"):
        next(rows)


def _tweets(prefix=""):
    files = {f"{prefix}{split}_{kind}.txt": "" for split in ("val", "test") for kind in ("text", "labels")}
    return files | {
        f"{prefix}train_text.txt.gz": "hello \nbye\n",
        f"{prefix}train_labels.txt": "1\n0\n",
        "mapping.txt": "0\tnot-offensive\n1\toffensive",
    }


def test_tweets(make_folder):
    assert list(classes.tweets(make_folder(_tweets()))) == [
        Instance("hello ", "offensive", "train:1", "offensive"),
        Instance("bye", "not offensive", "train:2", "not offensive"),
    ]
    first = next(classes.tweeteval_stance(make_folder(_tweets("atheism/")), "atheism"))
    assert first == Instance("hello ", "offensive", "train:1", "offensive")


def test_tweets_refuse_unknown_labels(make_folder):
    with pytest.raises(ValueError, match=r"train_labels\.txt, row 2: label '7' is not in mapping\.txt"):
        list(classes.tweets(make_folder(_tweets() | {"train_labels.txt": "1\n7\n"})))


def test_snips(make_folder):
    def requests(intent, *texts):
        return json.dumps({intent: [{"data": [{"text": text} for text in texts]}]}, ensure_ascii=False)

    files: dict[str, str | bytes] = {
        f"train_{intent}_full.json": requests(intent, "do ", intent) for intent in classes.SNIPS_INTENTS
    }
    files |= {f"validate_{intent}.json": json.dumps({intent: []}) for intent in classes.SNIPS_INTENTS}
    files["train_PlayMusic_full.json"] = requests("PlayMusic", "play ", "Café", "\n").encode("latin-1")
    rows = list(classes.snips(make_folder(files)))
    assert len(rows) == 7
    assert rows[3] == Instance("play Café", "PlayMusic", "train:PlayMusic:1", "PlayMusic")


FEWREL = {"tokens": ["Ann", "Lee", "wed", "Bob", "."], "h": ["ann lee", "Q1", [[0, 1]]], "t": ["bob", "Q2", [[3]]]}


def test_fewrel(make_folder):
    folder = make_folder(
        {
            "pid2name.json": json.dumps({"P26": ["spouse", "married to"]}),
            "val_wiki.json.gz": json.dumps({"P26": [FEWREL]}),
            "val_pubmed.json": json.dumps({"occurs_in": [FEWREL]}),
            "val_nyt.json": json.dumps({"P99": [FEWREL]}),
        }
    )
    assert list(classes.fewrel(folder, "wiki")) == [
        Instance("Ann Lee wed Bob . [Ann Lee; Bob]", "spouse", "P26:1", "P26")
    ]
    assert next(classes.fewrel(folder, "pubmed")).output == "occurs in"
    rows = classes.fewrel_description(folder)
    assert next(rows) == Row("spouse: married to", "Ann Lee wed Bob .", "wiki:P26:1", label="P26")
    with pytest.raises(ValueError, match="row P99: a relation of the sentences has no name"):
        next(rows)
