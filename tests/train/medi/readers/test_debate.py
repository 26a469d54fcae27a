"""Claims, arguments and reasons with judged negatives."""

import json

import pytest

from instructor_jax.train.medi.files.records import Row
from instructor_jax.train.medi.readers import debate
from instructor_jax.train.medi.readers.plain_text import group_id

ARGUMENTS = "arg_id,argument,topic,stance\na1,it is cheap,T,1\na2,it looks good,T,1\n"
KEY_POINTS = "key_point_id,key_point,topic,stance\nk1,Saves money,T,1\nk2,Is pretty,T,1\nk3,Is fun,T,1\n"


def _argkp(labels):
    head = "arg_id,key_point_id,label\n"
    files = {
        f"{kind}_{split}.csv": text.split("\n")[0] + "\n"
        for split in ("dev", "test")
        for kind, text in (("arguments", ARGUMENTS), ("key_points", KEY_POINTS), ("labels", head))
    }
    return files | {
        "arguments_train.csv.gz": ARGUMENTS,
        "key_points_train.csv": KEY_POINTS,
        "labels_train.csv": head + labels,
    }


def test_argkp2021(make_folder):
    folder = make_folder(_argkp("a1,k1,1\na1,k2,0\na1,k3,0\na2,k2,1\na2,k3,1\n"))
    assert list(debate.argkp2021(folder)) == [
        Row("it is cheap", "Saves money", "train:a1:k1", ("Is pretty", "Is fun")),
        Row("it looks good", "Is pretty", "train:a2:k2"),
        Row("it looks good", "Is fun", "train:a2:k3"),
    ]


@pytest.mark.parametrize("line", ["a9,k1,1", "a1,k9,1", "a1,k1,2"])
def test_argkp2021_refuses_unknown_ids_and_labels(make_folder, line):
    with pytest.raises(ValueError, match=r"labels_train\.csv, row 2: unknown argument"):
        list(debate.argkp2021(make_folder(_argkp(f"a1,k1,1\n{line}\n"))))


def test_explagraphs(make_folder):
    train = "b\tfor it\tsupport\tg\nb\tagainst it\tcounter\tg\nc\tfor c\tsupport\tg\n"
    folder = make_folder({"train.tsv": train, "dev.tsv": "d\tneutral\tunsure\tg\n"})
    rows = debate.explagraphs(folder)
    assert [next(rows), next(rows)] == [Row("b", "for it", "train:1", ("against it",)), Row("c", "for c", "train:3")]
    with pytest.raises(ValueError, match=r"dev\.tsv, row 1: stance='unsure'"):
        next(rows)


def test_fnc1(make_folder):
    bodies = 'Body ID,articleBody\n1,"It\nhappened."\n2,Something else.\n3,Third.\n'
    stances = "Headline,Body ID,Stance\nIt did,1,agree\nIt did,2,unrelated\nIt did,3,unrelated\nIt did,1,disagree\n"
    stances += "New,2,discuss\n"
    folder = make_folder({"competition_test_bodies.csv": bodies, "competition_test_stances.csv": stances})
    assert list(debate.fnc1(folder)) == [
        Row("It did", "It happened.", "1", ("Third.",)),  # unrelated articles in turn: 1 % 2
        Row("New", "Something else.", "5"),
    ]


@pytest.mark.parametrize(("line", "problem"), [("h,9,agree", "Body ID '9' is not in"), ("h,1,yes", "Stance='yes'")])
def test_fnc1_refuses_unknown_values(make_folder, line, problem):
    files = {"competition_test_bodies.csv": "Body ID,articleBody\n1,x\n"}
    files["competition_test_stances.csv"] = f"Headline,Body ID,Stance\n{line}\n"
    with pytest.raises(ValueError, match=f"row 1: {problem}"):
        list(debate.fnc1(make_folder(files)))


def test_liar_plus(make_folder):
    lines = [
        {"id": 0, "claim": "It is so.", "justification": '"They said ""so"".\n"'},
        {"id": 1, "claim": "It is not.", "justification": None},
    ]
    folder = make_folder({"val2.jsonl": "\n".join(map(json.dumps, lines)), "test2.jsonl": ""})
    assert list(debate.liar_plus(folder)) == [
        Row("It is so.", 'They said "so".', "val2:0"),
        Row("It is not.", "", "val2:1"),
    ]


HEAD = "Correct Statement,Incorrect Statement,Right Reason1,Confusing Reason1,Confusing Reason2"
HEAD += ",Right Reason2,Right Reason3\n"


def test_comve(make_folder):
    folder = make_folder(
        {
            "train.csv": HEAD + "c,Pigs fly,R1,C1,both,both,R3\n",
            "dev.csv": HEAD + "c,Dogs read,R1,C1,C2,C2,R3\n",  # the column fault of dev and test
            "test.csv": HEAD,
        }
    )
    assert list(debate.comve_reason(folder)) == [
        Row("Pigs fly", "R1", "train:1:0", ("C1",)),
        Row("Pigs fly", "R3", "train:1:1", ("C1",)),
        Row("Dogs read", "R1", "dev:1:0", ("C1", "C2")),
        Row("Dogs read", "R3", "dev:1:1", ("C1", "C2")),
    ]
    assert list(debate.comve_paraphrase(folder)) == [
        Row("R1", "R3", "train:1:0", ("C1",), label=group_id("Pigs fly")),
        Row("R1", "R3", "dev:1:0", ("C1", "C2"), label=group_id("Dogs read")),
    ]
