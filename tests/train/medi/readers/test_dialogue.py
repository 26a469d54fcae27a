"""Dialogues, their summaries, replies and intents."""

import json

import pytest

from instructor_jax.train.medi.files.records import Instance, Row
from instructor_jax.train.medi.readers import dialogue


def test_dialogsum(make_folder):
    dev = {"fname": "dev_0", "dialogue": "#Person1#: Hi.", "summary": "They greet.", "topic": "t"}
    test = {"fname": "test_0", "dialogue": "#Person1#: Bye.", "summary1": "A.", "summary2": "B.", "summary3": "A."}
    folder = make_folder({"dialogsum.dev.jsonl": json.dumps(dev), "dialogsum.test.jsonl.gz": json.dumps(test)})
    assert list(dialogue.dialogsum_dialogue(folder)) == [
        Row("They greet.", "#Person1#: Hi.", "dev_0:0"),
        Row("A.", "#Person1#: Bye.", "test_0:0"),
        Row("B.", "#Person1#: Bye.", "test_0:1"),
        Row("A.", "#Person1#: Bye.", "test_0:2"),
    ]
    assert list(dialogue.dialogsum_summary(folder)) == [Row("A.", "B.", "test_0:0", label="test_0")]


def _turn(speaker, utterance, intent="", new=False):
    acts = [{"act": "INFORM_INTENT"}] if new else []
    frame = {"service": "Food_1", "actions": acts, "state": {"active_intent": intent}}
    return {"speaker": speaker, "utterance": utterance, "frames": [frame]}


def _folder(make_folder, *turns):
    schema = [{"service_name": "Food_1", "intents": [{"name": "Find", "description": "Find a place to eat"}]}]
    files = {f"dialogues_{name}.json": "[]" for name in dialogue.SGD_FILES}
    files["dialogues_001.json"] = json.dumps([{"dialogue_id": "1_0", "turns": list(turns)}])
    return make_folder(files | {"schema.json": json.dumps(schema)})


def test_sgd(make_folder):
    folder = _folder(
        make_folder,
        _turn("USER", "I am hungry", "Find", new=True),
        _turn("SYSTEM", "Where?"),
        _turn("USER", "In Rome", "Find"),
    )
    assert list(dialogue.sgd_reply(folder)) == [Row("I am hungry", "Where?", "1_0:0")]
    assert list(dialogue.sgd_intent(folder)) == [Instance("I am hungry", "Find a place to eat", "1_0:0", "Find")]
    assert list(dialogue.sgd_intent_description(folder)) == [
        Row("I am hungry", "Find a place to eat", "1_0:0", label="Find")
    ]


@pytest.mark.parametrize(
    ("turn", "problem"),
    [(_turn("NOBODY", "x"), "speaker='NOBODY'"), (_turn("USER", "x", "Fly", new=True), r"intent \('Food_1', 'Fly'\)")],
)
def test_sgd_refuses_unknown_speakers_and_intents(make_folder, turn, problem):
    with pytest.raises(ValueError, match=f"row 1_0:0: {problem}"):
        list(dialogue.sgd_intent(_folder(make_folder, turn)))
