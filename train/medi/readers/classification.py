"""Readers of labelled texts: sentiment, subjectivity, kinds of question, intents, relations, tweets.

All give `Instance`: the class is the label, its name in words the output.
"""

from collections.abc import Iterator
from pathlib import Path

from ..files.raw_files import (
    aligned_lines,
    field,
    find,
    json_document,
    lines,
    malformed,
    tsv_rows,
)
from ..files.records import Instance, Row
from .plain_text import squeeze

WELL_FORMED = 0.8  # share of raters from which the authors of the set call a question well formed
POLARITY_FILES = {"rt-polarity.pos": "positive", "rt-polarity.neg": "negative"}
SUBJECTIVITY_FILES = {"subj.subjective": "subjective", "subj.objective": "objective"}
SNIPS_INTENTS = (
    "AddToPlaylist",
    "BookRestaurant",
    "GetWeather",
    "PlayMusic",
    "RateBook",
    "SearchCreativeWork",
    "SearchScreeningEvent",
)


def one_file_per_class(folder: Path, files: dict[str, str]) -> Iterator[Instance]:
    """Yields texts of Latin-1 files, one a line, labelled by the file they are in.

    Args:
        folder: Folder of the set.
        files: File name -> class.
    """
    for name, label in files.items():
        for line, text in lines(find(folder, name), "latin-1"):
            yield Instance(text, label, f"{label}:{line}", label=label)


def trec_questions(folder: Path) -> Iterator[Instance]:
    """Yields rows: questions labelled with the fine class of their answer, `COARSE:fine`."""
    for split in ("train", "test"):
        path = find(folder, f"TREC.{split}")
        for line, text in lines(path, "latin-1"):
            label, _, question = text.partition(" ")
            if label.count(":") != 1:
                raise malformed(path, line, f"must be 'COARSE:fine question', is {text!r:.80}")
            yield Instance(question, label, f"{split}:{line}", label=label)


def query_wellformedness(folder: Path) -> Iterator[Instance]:
    """Yields questions typed by users, well formed or not."""
    for split in ("train", "dev", "test"):
        path = find(folder, f"{split}.tsv")
        for line, (question, share) in tsv_rows(path, 2):
            try:
                well_formed = float(share) >= WELL_FORMED
            except ValueError as error:
                raise malformed(path, line, f"the share of raters {share!r} is not a number") from error
            label = "well formed" if well_formed else "not well formed"
            yield Instance(question, label, f"{split}:{line}", label=label)


def tweets(folder: Path, mapping: Path | None = None) -> Iterator[Instance]:
    """Yields tweets of a TweetEval folder: aligned `*_text.txt` and `*_labels.txt`, with classes in `mapping.txt`.

    Args:
        folder: Folder of the texts and labels.
        mapping: File of the names, where it lies elsewhere.
    """
    names_path = mapping or find(folder, "mapping.txt")
    names = {number: name for _, (number, name) in tsv_rows(names_path, 2)}
    for split in ("train", "val", "test"):
        paths = [find(folder, f"{split}_text.txt"), find(folder, f"{split}_labels.txt")]
        for line, (text, number) in aligned_lines(paths):
            if number.strip() not in names:
                raise malformed(paths[1], line, f"label {number!r} is not in {names_path.name}: {names}")
            label = names[number.strip()].replace("-", " ")
            yield Instance(text, label, f"{split}:{line}", label=label)


def tweeteval_stance(folder: Path, target: str) -> Iterator[Instance]:
    """Returns tweets by their stance to one target; the names of the classes lie one folder up."""
    return tweets(folder / target, find(folder, "mapping.txt"))


def snips(folder: Path) -> Iterator[Instance]:
    """Yields requests to a voice assistant by intent. One file is Latin-1, as in the source; the others are UTF-8."""
    for prefix, suffix in (("train", "_full"), ("validate", "")):
        for intent in SNIPS_INTENTS:
            latin = (prefix, intent) == ("train", "PlayMusic")
            path = find(folder, f"{prefix}_{intent}{suffix}.json")
            document = json_document(path, dict, "latin-1" if latin else "utf-8")
            for row, request in enumerate(field(document, intent, list, path, intent), start=1):
                parts = field(request, "data", list, path, row)
                text = squeeze("".join(field(part, "text", str, path, row) for part in parts))
                yield Instance(text, intent, f"{prefix}:{intent}:{row}", label=intent)


def fewrel(folder: Path, part: str) -> Iterator[Instance]:
    """Yields sentences labelled with the relation they state between two entities, named after the sentence.

    Args:
        folder: Folder of the set.
        part: "wiki", "nyt" or "pubmed".
    """
    names = _relation_names(folder)
    for relation, row_id, text, _ in _fewrel(folder, part):
        name = names[relation][0] if relation in names else relation.replace("_", " ")
        yield Instance(text, name, row_id, label=relation)


def fewrel_description(folder: Path) -> Iterator[Row]:
    """Yields rows: name and description of a relation -> sentence that states it.

    Wikipedia and news, whose relations have names.
    """
    names = _relation_names(folder)
    for part in ("wiki", "nyt"):
        for relation, row_id, _, sentence in _fewrel(folder, part):
            if relation not in names:
                raise malformed(find(folder, "pid2name.json"), relation, "a relation of the sentences has no name")
            yield Row(": ".join(names[relation]), sentence, f"{part}:{row_id}", label=relation)


def _relation_names(folder: Path) -> dict[str, list[str]]:
    return json_document(find(folder, "pid2name.json"), dict)


def _fewrel(folder: Path, part: str) -> Iterator[tuple[str, str, str, str]]:
    """Yields relation, row id, the sentence with its two entities named, the sentence alone."""
    path = find(folder, f"val_{part}.json")
    for relation, rows in json_document(path, dict).items():
        for row, record in enumerate(rows, start=1):
            place = f"{relation}:{row}"
            tokens = field(record, "tokens", list, path, place)
            head, tail = (
                " ".join(tokens[i] for i in field(record, end, list, path, place)[2][0]) for end in ("h", "t")
            )
            sentence = " ".join(tokens)
            yield relation, place, f"{sentence} [{head}; {tail}]", sentence
