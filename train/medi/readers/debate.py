"""Readers of claims, arguments and reasons: ArgKP, ExplaGraphs, FNC-1, LIAR-PLUS, ComVE.

All give judged hard negatives: texts that people marked as not matching, countering, unrelated or confusing.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from ..files.raw_files import csv_rows, field, find, json_lines, malformed, tsv_rows
from ..files.records import Row
from .plain_text import chained, group_id, squeeze


def argkp2021(folder: Path) -> Iterator[Row]:
    """Yields rows: argument -> each key point it makes; unmatched key points of its topic are hard negatives."""
    for split in ("train", "dev", "test"):
        arguments = _column(find(folder, f"arguments_{split}.csv"), "arg_id", "argument")
        key_points = _column(find(folder, f"key_points_{split}.csv"), "key_point_id", "key_point")
        path = find(folder, f"labels_{split}.csv")
        judged: defaultdict[str, dict[str, list[str]]] = defaultdict(lambda: {"0": [], "1": []})
        for row, record in csv_rows(path, ["arg_id", "key_point_id", "label"]):
            argument, key_point, label = record["arg_id"], record["key_point_id"], record["label"]
            if argument not in arguments or key_point not in key_points or label not in ("0", "1"):
                raise malformed(path, row, f"unknown argument, key point or label in {record}")
            judged[argument][label].append(key_point)
        for argument, by_label in judged.items():
            wrong = tuple(key_points[key_point] for key_point in by_label["0"])
            for key_point in by_label["1"]:
                yield Row(arguments[argument], key_points[key_point], f"{split}:{argument}:{key_point}", wrong)


def explagraphs(folder: Path) -> Iterator[Row]:
    """Yields rows: belief -> argument that supports it; arguments that counter the same belief are hard negatives."""
    for split in ("train", "dev"):
        path = find(folder, f"{split}.tsv")
        support: list[tuple[int, str, str]] = []
        counter: defaultdict[str, list[str]] = defaultdict(list)
        for row, (belief, argument, stance, _) in tsv_rows(path, 4):
            if stance == "support":
                support.append((row, belief, argument))
            elif stance == "counter":
                counter[belief].append(argument)
            else:
                raise malformed(path, row, f"stance={stance!r} must be support or counter")
        for row, belief, argument in support:
            yield Row(belief, argument, f"{split}:{row}", tuple(counter[belief]))


def fnc1(folder: Path) -> Iterator[Row]:
    """Yields rows: headline -> article that agrees with it or discusses it.

    One article unrelated to it is the hard negative.
    """
    bodies_path = find(folder, "competition_test_bodies.csv")
    bodies = {key: squeeze(body) for key, body in _column(bodies_path, "Body ID", "articleBody").items()}
    path = find(folder, "competition_test_stances.csv")
    related: list[tuple[int, str, str]] = []
    unrelated: defaultdict[str, list[str]] = defaultdict(list)
    for row, record in csv_rows(path, ["Headline", "Body ID", "Stance"]):
        headline, body, stance = squeeze(record["Headline"]), record["Body ID"], record["Stance"]
        if body not in bodies:
            raise malformed(path, row, f"Body ID {body!r} is not in {bodies_path.name}")
        if stance in ("agree", "discuss"):
            related.append((row, headline, bodies[body]))
        elif stance == "unrelated":
            unrelated[headline].append(bodies[body])
        elif stance != "disagree":
            raise malformed(path, row, f"Stance={stance!r} must be agree, disagree, discuss or unrelated")
    for row, headline, body in related:
        others = unrelated[headline]
        # Turned by the row, so that the rows of one headline do not all get the same article.
        yield Row(headline, body, str(row), (others[row % len(others)],) if others else ())


def liar_plus(folder: Path) -> Iterator[Row]:
    """Yields rows: political claim -> the fact-checkers' justification; 29 claims have none and are dropped."""
    for split in ("val2", "test2"):
        path = find(folder, f"{split}.jsonl")
        for row, record in json_lines(path):
            claim, key = field(record, "claim", str, path, row), field(record, "id", int, path, row)
            justification = squeeze((record.get("justification") or "").strip(' "\n').replace('""', '"'))
            yield Row(claim, justification, f"{split}:{key}")


def comve_reason(folder: Path) -> Iterator[Row]:
    """Yields rows: statement against common sense -> each reason against it; confusing reasons are hard negatives."""
    for row_id, statement, right, confusing in _comve(folder):
        for number, reason in enumerate(right):
            yield Row(statement, reason, f"{row_id}:{number}", confusing)


def comve_paraphrase(folder: Path) -> Iterator[Row]:
    """Yields rows: a reason why a statement is wrong <-> another reason for the same.

    Confusing reasons are hard negatives.
    """
    for row_id, statement, right, confusing in _comve(folder):
        for number, (one, other) in enumerate(chained(right)):
            yield Row(one, other, f"{row_id}:{number}", confusing, label=group_id(statement))


def _comve(folder: Path) -> Iterator[tuple[str, str, list[str], tuple[str, ...]]]:
    """Yields row id, incorrect statement, right reasons, confusing reasons.

    In dev and test the column `Right Reason2` repeats `Confusing Reason2` in every row, a fault of the source: the text
    is a confusing reason. A reason found on both sides otherwise (3 rows of train) is kept on neither.
    """
    names = [f"Right Reason{i}" for i in (1, 2, 3)], [f"Confusing Reason{i}" for i in (1, 2)]
    for split in ("train", "dev", "test"):
        path = find(folder, f"{split}.csv")
        for row, record in csv_rows(path, ["Incorrect Statement", *names[0], *names[1]]):
            right, confusing = ([squeeze(record[name]) for name in side] for side in names)
            if split != "train":
                right.pop(1)
            both = set(right) & set(confusing)
            right = [reason for reason in right if reason not in both]
            yield f"{split}:{row}", record["Incorrect Statement"], right, tuple(r for r in confusing if r not in both)


def _column(path: Path, key: str, value: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for row, record in csv_rows(path, [key, value]):
        if record[key] in found:
            raise malformed(path, row, f"{key} {record[key]!r} occurs twice")
        found[record[key]] = record[value]
    return found
