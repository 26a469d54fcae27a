"""Readers of texts that say the same: simplifications, definitions, rewritten questions, descriptions of facts.

ASSET, TurkCorpus, WikiSplit, PARADE, LC-QuAD, E2E NLG, and the NLI sets (a premise and what it entails).
"""

import html
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from ..files.raw_files import (
    aligned_lines,
    csv_rows,
    field,
    find,
    json_document,
    malformed,
    tsv_rows,
)
from ..files.records import Row
from .plain_text import chained, group_id, squeeze


def asset(folder: Path) -> Iterator[Row]:
    """Yields rows: Wikipedia sentence <-> each of its ten simplifications."""
    names = ["asset.valid.orig", *(f"asset.valid.simp.{i}" for i in range(10))]
    for line, (original, *simple) in aligned_lines([find(folder, name) for name in names]):
        for number, text in enumerate(simple):
            yield Row(original, text, f"{line}:{number}", label=str(line))


def turkcorpus(folder: Path) -> Iterator[Row]:
    """Yields rows: Wikipedia sentence <-> each of its eight simplifications."""
    for line, (identifier, original, *simple) in tsv_rows(find(folder, "tune.8turkers.organized.tsv"), 10):
        for number, text in enumerate(simple):
            yield Row(original, text, f"{line}:{number}", label=identifier)


def wiki_split(folder: Path) -> Iterator[Row]:
    """Yields rows: long Wikipedia sentence <-> the same in two sentences."""
    for split in ("validation", "tune", "test"):
        path = find(folder, f"{split}.tsv")
        for row, (sentence, rewrite) in tsv_rows(path, 2):
            if "<::::>" not in rewrite:
                raise malformed(path, row, "the rewrite must hold two sentences joined by <::::>")
            yield Row(sentence, squeeze(rewrite.replace("<::::>", " ")), f"{split}:{row}")


def parade(folder: Path) -> Iterator[Row]:
    """Yields rows: definition <-> another definition of the same meaning.

    Those of the same term judged different are negatives.

    Rows of one term share its label: two of its definitions that nobody compared may well agree.
    """
    for split in ("train", "validation", "test"):
        path = find(folder, f"PARADE_{split}.txt")
        same: list[tuple[int, str, str, str]] = []
        different: defaultdict[str, list[str]] = defaultdict(list)
        for row, (_, label, term, *definitions) in tsv_rows(path, 5, header=True):
            one, other = (html.unescape(definition) for definition in definitions)
            if label not in ("0", "1"):
                raise malformed(path, row, f"binary label {label!r} must be 0 or 1")
            if label == "1":
                same.append((row, term, one, other))
            else:
                different[one].append(other)
                different[other].append(one)
        for row, term, one, other in same:
            yield Row(one, other, f"{split}:{row}", tuple(different[one]), label=term)


def lc_quad(folder: Path) -> Iterator[Row]:
    """Yields rows: question made from a template <-> its natural wording.

    The next question of the same template is the negative.
    """
    for split in ("train", "test"):
        path = find(folder, f"{split}-data.json")
        by_template: defaultdict[int, list[tuple[str, str, str]]] = defaultdict(list)
        for row, record in enumerate(json_document(path, list), start=1):
            wordings = (field(record, f"{kind}_question", str, path, row) for kind in ("intermediary", "corrected"))
            made, natural = (squeeze(wording) for wording in wordings)
            template = field(record, "sparql_template_id", int, path, row)
            by_template[template].append((made, natural, field(record, "_id", str, path, row)))
        for questions in by_template.values():
            for (made, natural, key), (_, other, _) in zip(questions, questions[1:] + questions[:1], strict=True):
                yield Row(made, natural, f"{split}:{key}", (other,))


def e2e_description(folder: Path) -> Iterator[Row]:
    """Yields rows: facts about a restaurant -> each description of them."""
    for facts, texts in e2e_facts(folder).items():
        for row_id, text in texts.items():
            yield Row(facts, text, row_id)


def e2e_paraphrase(folder: Path) -> Iterator[Row]:
    """Yields rows: description of a restaurant <-> another description of the same facts."""
    for facts, texts in e2e_facts(folder).items():
        for number, (one, other) in enumerate(chained(texts.values())):
            yield Row(one, other, f"{group_id(facts)}:{number}", label=group_id(facts))


def e2e_facts(folder: Path) -> dict[str, dict[str, str]]:
    """Returns facts -> row id -> description, over both files."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for name in ("devset", "testset_w_refs"):
        for row, record in csv_rows(find(folder, f"{name}.csv"), ["mr", "ref"]):
            found[record["mr"]][f"{name}:{row}"] = record["ref"]
    return found


def nli(folder: Path, name: str, splits: tuple[str, ...]) -> Iterator[Row]:
    """Yields rows: premise -> hypothesis it entails; hypotheses it contradicts are hard negatives.

    In sets of two classes, those it does not entail are.

    Args:
        folder: Folder of the sets.
        name: Folder of one set below it, with one CSV per split.
        splits: Names of the files, without ending.
    """
    for split in splits:
        judged = list(nli_judgements(folder, name, split))
        refused: defaultdict[str, list[str]] = defaultdict(list)
        for _, premise, hypothesis, label in judged:
            if label in ("contradiction", "not_entailment"):
                refused[premise].append(hypothesis)
        for row, premise, hypothesis, label in judged:
            if label == "entailment":
                yield Row(premise, hypothesis, f"{split}:{row}", tuple(refused[premise]))


def nli_judgements(folder: Path, name: str, split: str) -> Iterator[tuple[int, str, str, str]]:
    """Yields row, premise, hypothesis and how they relate, of one file of one set."""
    path = find(folder / name, f"{split}.csv")
    for row, record in csv_rows(path, ["premise", "hypothesis", "label"]):
        if record["label"] not in ("entailment", "neutral", "contradiction", "not_entailment"):
            raise malformed(path, row, f"unknown label {record['label']!r}")
        yield row, squeeze(record["premise"]), squeeze(record["hypothesis"]), record["label"]
