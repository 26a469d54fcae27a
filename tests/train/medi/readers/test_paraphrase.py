"""Texts that mean the same, and the groups that keep them from being each other's negatives."""

import json

import pytest

from instructor_jax.train.medi.files.records import Row
from instructor_jax.train.medi.readers import paraphrase
from instructor_jax.train.medi.readers.plain_text import group_id


def test_asset(make_folder):
    files = {"asset.valid.orig.gz": "Long one.\nLong two.\n"}
    files |= {f"asset.valid.simp.{i}": f"simple {i} a\nsimple {i} b\n" for i in range(10)}
    rows = list(paraphrase.asset(make_folder(files)))
    assert len(rows) == 20
    assert rows[0] == Row("Long one.", "simple 0 a", "1:0", label="1")
    assert rows[19] == Row("Long two.", "simple 9 b", "2:9", label="2")


def test_turkcorpus(make_folder):
    folder = make_folder({"tune.8turkers.organized.tsv": "360\tLong .\t" + "\t".join("abcdefgh") + "\r\n"})
    rows = list(paraphrase.turkcorpus(folder))
    assert [row.positive for row in rows] == list("abcdefgh")
    assert rows[7] == Row("Long .", "h", "1:7", label="360")


def test_wiki_split(make_folder):
    folder = make_folder({"validation.tsv": "A and B .\tA . <::::> B .\n", "tune.tsv": "A\tB\n", "test.tsv": ""})
    rows = paraphrase.wiki_split(folder)
    assert next(rows) == Row("A and B .", "A . B .", "validation:1")
    with pytest.raises(ValueError, match=r"tune\.tsv, row 1: the rewrite"):
        next(rows)


def test_parade(make_folder):
    head = "Four-class labels\tBinary labels\tEntity\tDefinition1\tDefinition2\n"
    train = '3\t1\tstack\tlast &amp; first\tLIFO "list"\n0\t0\tstack\theap of memory\tlast &amp; first\n'
    folder = make_folder(
        {"PARADE_train.txt": head + train, "PARADE_validation.txt": head, "PARADE_test.txt": head + "1\t2\tx\ty\tz\n"}
    )
    rows = paraphrase.parade(folder)
    assert next(rows) == Row("last & first", 'LIFO "list"', "train:2", ("heap of memory",), label="stack")
    with pytest.raises(ValueError, match=r"PARADE_test\.txt, row 2: binary label '2'"):
        next(rows)


def test_lc_quad(make_folder):
    def question(key, template, name):
        return {
            "_id": key,
            "sparql_template_id": template,
            "intermediary_question": f"<{name}>?",
            "corrected_question": f"Is it {name}?",
        }

    train = [question("1", 2, "A"), question("2", 3, "B"), question("3", 2, "C")]
    folder = make_folder({"train-data.json": json.dumps(train), "test-data.json": "[]"})
    assert list(paraphrase.lc_quad(folder)) == [
        Row("<A>?", "Is it A?", "train:1", ("Is it C?",)),
        Row("<C>?", "Is it C?", "train:3", ("Is it A?",)),
        Row("<B>?", "Is it B?", "train:2", ("Is it B?",)),  # alone in its template: read_source takes the copy away
    ]


def test_e2e(make_folder):
    folder = make_folder(
        {
            "devset.csv": "mr,ref\r\nname[X],One.\r\nname[X],Two.\r\n",
            "testset_w_refs.csv": '"mr","ref"\n"name[X]","Three."\n',
        }
    )
    assert list(paraphrase.e2e_description(folder)) == [
        Row("name[X]", "One.", "devset:1"),
        Row("name[X]", "Two.", "devset:2"),
        Row("name[X]", "Three.", "testset_w_refs:1"),
    ]
    group = group_id("name[X]")
    assert list(paraphrase.e2e_paraphrase(folder)) == [
        Row("One.", "Two.", f"{group}:0", label=group),
        Row("Two.", "Three.", f"{group}:1", label=group),
    ]


def test_nli(make_folder):
    text = "premise,hypothesis,label\nP,E,entailment\nP,N,neutral\nP,C,contradiction\nO,F,entailment\n"
    folder = make_folder(
        {
            "snli/dev.csv": text,
            "rte/train.csv": text.replace("contradiction", "not_entailment"),
            "bad/dev.csv": text + "P,X,maybe\n",
        }
    )
    expected = [Row("P", "E", "dev:1", ("C",)), Row("O", "F", "dev:4")]
    assert list(paraphrase.nli(folder, "snli", ("dev",))) == expected
    assert [row.negatives for row in paraphrase.nli(folder, "rte", ("train",))] == [("C",), ()]
    with pytest.raises(ValueError, match="row 5: unknown label 'maybe'"):
        list(paraphrase.nli(folder, "bad", ("dev",)))
