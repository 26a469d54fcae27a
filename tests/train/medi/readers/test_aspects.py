"""The sets that label a text in several ways, from files as their origins write them."""

import json

import pytest

from instructor_jax.train.medi.files.records import Row
from instructor_jax.train.medi.readers import aspects
from instructor_jax.train.medi.readers.dialogue import SGD_FILES
from instructor_jax.train.medi.readers.medicine import MEDQUAD_SITES


def test_e2e_reads_figures_and_words_as_one(make_folder):
    head, rows = "mr,ref\n", [
        '"name[A], food[Thai], customer rating[5 out of 5]",A has good Thai food.\n',
        '"name[B], food[French], customer rating[high]",B is a good French place.\n',
        '"name[A], food[Thai], customer rating[low]",A has bad Thai food.\n',
    ]  # fmt: skip
    folder = make_folder({"devset.csv": head + rows[0] + rows[1], "testset_w_refs.csv": head + rows[2]})
    assert list(aspects.e2e_aspect(folder, "customer rating")) == [
        Row("A has good Thai food.", "B is a good French place.", "devset:1", ("A has bad Thai food.",), "high"),
        Row("B is a good French place.", "A has good Thai food.", "devset:2", (), "high"),
    ]
    assert list(aspects.e2e_aspect(folder, "food")) == [
        Row("A has good Thai food.", "A has bad Thai food.", "devset:1", ("B is a good French place.",), "Thai"),
        Row("A has bad Thai food.", "A has good Thai food.", "testset_w_refs:1", (), "Thai"),
    ]


def test_medquad(make_folder):
    page = "<D><Focus>{0}</Focus>" + "".join(
        f'<QAPair pid="{i}"><Question qtype="{kind}">{words} {{0}} ?</Question></QAPair>'
        for i, (kind, words) in enumerate([("information", "What is"), ("treatment", "How to treat")])
    )
    pages = {f"{disease}.xml": page.format(disease) + "</D>" for disease in ("Flu", "Measles")}
    files = {f"{site}.tar.gz": (pages if i == 0 else {}) for i, site in enumerate(MEDQUAD_SITES)}
    folder = make_folder(files)
    topics = {(row.query, row.positive, *row.negatives) for row in aspects.medquad_aspect(folder, "topic")}
    assert ("What is Flu ?", "How to treat Flu ?", "What is Measles ?") in topics
    kinds = {(row.query, row.positive, *row.negatives) for row in aspects.medquad_aspect(folder, "kind")}
    assert ("What is Flu ?", "What is Measles ?", "How to treat Flu ?") in kinds
    assert len(topics) == len(kinds) == 4


def _arguments(*rows):
    text = "arg_id,argument,topic,stance\n" + "".join(f"arg_{i},{row}\n" for i, row in enumerate(rows))
    empty = "arg_id,argument,topic,stance\n"
    return {"arguments_train.csv": text, "arguments_dev.csv": empty, "arguments_test.csv": empty}


def test_argkp(make_folder):
    folder = make_folder(_arguments("tea is warm,Drink tea,1", "tea is bitter,Drink tea,-1", "tea is old,Drink tea,1"))
    assert list(aspects.argkp_aspect(folder, "side")) == [
        Row("tea is warm", "tea is old", "train:arg_0", ("tea is bitter",), "for: Drink tea"),
        Row("tea is old", "tea is warm", "train:arg_2", ("tea is bitter",), "for: Drink tea"),
    ]
    of_topic = {row.query: row.positive for row in aspects.argkp_aspect(folder, "topic")}
    assert of_topic["tea is warm"] == "tea is bitter"  # alike in the topic and not in the side


def test_argkp_names_an_unknown_stance(make_folder):
    with pytest.raises(ValueError, match=r"arguments_train\.csv, row 1: stance='0' must be 1 or -1"):
        list(aspects.argkp_aspect(make_folder(_arguments("a,b,0")), "topic"))


def test_sgd_takes_the_turns_of_one_service_that_say_what_they_are_about(make_folder):
    turns = [
        _turn("USER", "a flight please", "Flights_1", "INFORM_INTENT"),
        _turn("SYSTEM", "from which city", "Flights_1", "REQUEST"),
        _turn("USER", "a song please", "Music_2", "INFORM_INTENT"),
        _turn("SYSTEM", "by which singer", "Music_2", "REQUEST"),
        _turn("USER", "thanks", "Music_2", "THANK_YOU"),
    ]
    files = {f"dialogues_{name}.json": "[]" for name in SGD_FILES}
    folder = make_folder(files | {"dialogues_001.json": json.dumps([{"dialogue_id": "1", "turns": turns}])})
    assert [(row.query, row.positive, row.negatives) for row in aspects.sgd_aspect(folder, "service")] == [
        ("a flight please", "from which city", ("a song please",)),
        ("from which city", "a flight please", ("by which singer",)),
        ("a song please", "by which singer", ("a flight please",)),
        ("by which singer", "a song please", ("from which city",)),
    ]
    of_act = {row.query: (row.positive, row.negatives) for row in aspects.sgd_aspect(folder, "act")}
    assert of_act["a flight please"] == ("a song please", ("from which city",))


def _turn(speaker, utterance, service, act):
    return {"speaker": speaker, "utterance": utterance, "frames": [{"service": service, "actions": [{"act": act}]}]}


def test_nli_contradiction(make_folder):
    text = "premise,hypothesis,label\nA,B,entailment\nA,C,contradiction\nA,D,neutral\nE,F,contradiction\n"
    folder = make_folder({"snli/dev.csv": text})
    assert list(aspects.nli_contradiction(folder, "snli", ("dev",))) == [
        Row("A", "C", "dev:2", ("B",)),
        Row("E", "F", "dev:4", ()),
    ]
