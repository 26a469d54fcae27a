"""Readers of texts labelled in several ways, one task for each: restaurants, diseases, arguments, dialogue turns.

E2E NLG, MedQuAD, ArgKP and SGD. All of them pass through `by_aspect`; and NLI once more, where what contradicts a
premise is wanted and what it entails is the hard negative.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from ..files.raw_files import csv_rows, field, find, malformed
from ..files.records import Row
from .contrasts import Labelled, by_aspect
from .dialogue import sgd_turns, utterance
from .medicine import medquad_pages
from .paraphrase import e2e_facts, nli_judgements

_FACT = re.compile(r"([\w ]+)\[([^\]]*)\]")
# The set says the same in figures and in words.
_IN_WORDS = {
    "1 out of 5": "low",
    "3 out of 5": "average",
    "5 out of 5": "high",
    "less than £20": "cheap",
    "£20-25": "moderate",
    "more than £30": "high",
}
_STANCES = {"1": "for", "-1": "against"}
# Acts whose turns say what they are about; "Yes, please." is of no service.
_TELLING_ACTS = {"INFORM", "INFORM_INTENT", "REQUEST", "OFFER", "OFFER_INTENT", "CONFIRM", "INFORM_COUNT"}


def e2e_aspect(folder: Path, aspect: str) -> Iterator[Row]:
    """Returns descriptions of restaurants by a fact they tell, such as "food", "priceRange" or "customer rating"."""
    return by_aspect(_restaurants(folder), aspect)


def medquad_aspect(folder: Path, aspect: str) -> Iterator[Row]:
    """Returns medical questions by "topic", a disease or drug, or by "kind", such as symptoms or treatment."""
    return by_aspect(_medical_questions(folder), aspect)


def argkp_aspect(folder: Path, aspect: str) -> Iterator[Row]:
    """Returns arguments by the "topic" of their debate or by the "side" that they take in it."""
    return by_aspect(_arguments(folder), aspect)


def sgd_aspect(folder: Path, aspect: str) -> Iterator[Row]:
    """Turns of dialogues by the "service" they are about or by their "act", such as offering or asking."""
    return by_aspect(_dialogue_turns(folder), aspect)


def nli_contradiction(folder: Path, name: str, splits: tuple[str, ...]) -> Iterator[Row]:
    """Yields rows: premise -> hypothesis it contradicts; hypotheses it entails are hard negatives."""
    for split in splits:
        judged = list(nli_judgements(folder, name, split))
        entailed: defaultdict[str, list[str]] = defaultdict(list)
        for _, premise, hypothesis, label in judged:
            if label == "entailment":
                entailed[premise].append(hypothesis)
        for row, premise, hypothesis, label in judged:
            if label == "contradiction":
                yield Row(premise, hypothesis, f"{split}:{row}", tuple(entailed[premise]))


def _restaurants(folder: Path) -> Iterator[Labelled]:
    for facts, texts in e2e_facts(folder).items():
        told: list[tuple[str, str]] = _FACT.findall(facts)
        values = {name.strip(): _IN_WORDS.get(value, value) for name, value in told}
        for row_id, text in texts.items():
            yield Labelled(text, row_id, values)


def _medical_questions(folder: Path) -> Iterator[Labelled]:
    for topic, pairs in medquad_pages(folder):
        for kind, question, _, row_id in pairs:
            values = {"topic": topic.casefold(), "kind": kind}
            yield Labelled(question, row_id, {name: value for name, value in values.items() if value})


def _arguments(folder: Path) -> Iterator[Labelled]:
    for split in ("train", "dev", "test"):
        path = find(folder, f"arguments_{split}.csv")
        for row, record in csv_rows(path, ["arg_id", "argument", "topic", "stance"]):
            if record["stance"] not in _STANCES:
                raise malformed(path, row, f"stance={record['stance']!r} must be 1 or -1")
            topic, side = record["topic"], _STANCES[record["stance"]]
            values = {"topic": topic, "side": f"{side}: {topic}"}  # who is for one thing may be against another
            yield Labelled(record["argument"], f"{split}:{record['arg_id']}", values)


def _dialogue_turns(folder: Path) -> Iterator[Labelled]:
    for row_id, turn, _, path in sgd_turns(folder, "USER", "SYSTEM"):
        frames = field(turn, "frames", list, path, row_id)
        acts = {action["act"] for frame in frames for action in field(frame, "actions", list, path, row_id)}
        if len(frames) == 1 and acts & _TELLING_ACTS:
            service = field(frames[0], "service", str, path, row_id).rpartition("_")[0]
            values = {"service": service, "act": " ".join(sorted(acts))}
            yield Labelled(utterance(turn, path, row_id), row_id, values)
