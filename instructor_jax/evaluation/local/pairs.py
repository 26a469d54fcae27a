"""Readers of sentence pairs: graded similarity (the STS sets), and same meaning or not (MSR paraphrases, COVID).

STS files of 2015 and 2016 list all pairs that systems were run on; a pair without a score was never judged and is left
out, as in the shared tasks.
"""

from collections.abc import Iterator
from pathlib import Path

from instructor_jax.evaluation.local.files import aligned_lines, locate, rows
from instructor_jax.evaluation.local.records import LabelledPairs, ScoredPairs


def read_sts_benchmark(folder: Path) -> ScoredPairs:
    """Reads the English test part of stsb-multi-mt: CSV of two sentences and a score, without a header."""
    path = locate(folder, "stsb-en-test.csv")
    return _scored(
        (f"{path}, line {number}", score, first, second)
        for number, (first, second, score) in rows(path, ("1", "2", "3"), header=False)
    )


def read_sts_year(folder: Path, year: int) -> ScoredPairs:
    """Reads all test sets of one year of SemEval STS: TSV of score and two sentences, without quoting."""
    paths = sorted((folder / str(year)).glob("*.test.tsv*"))
    if not paths:
        raise ValueError(f"{folder / str(year)} has no file named *.test.tsv or *.test.tsv.gz.")

    def all_rows() -> Iterator[tuple[str, str, str, str]]:
        for path in paths:
            for number, (score, first, second) in rows(path, ("1", "2", "3"), format="tsv", header=False, quotes=False):
                yield f"{path}, line {number}", score, first, second
        if year == 2012:
            yield from _msr_video(folder / str(year))

    return _scored(all_rows())


def read_msr_paraphrase(folder: Path) -> LabelledPairs:
    """Reads the test part of the Microsoft Research paraphrase corpus: TSV without quoting."""
    path = locate(folder, "msr-para-test.tsv")
    columns = ("Quality", "#1 String", "#2 String")
    return _labelled(
        (f"{path}, line {number}", label, first, second)
        for number, (label, first, second) in rows(path, columns, quotes=False)
    )


def read_covid_pairs(folder: Path) -> LabelledPairs:
    """Questions on COVID-19 in pairs, asking the same or not."""
    path = locate(folder, "eval_question_similarity_en.csv")
    return _labelled(
        (f"{path}, line {number}", label, first, second)
        for number, (first, second, label) in rows(path, ("question_1", "question_2", "similar"))
    )


def _msr_video(folder: Path) -> Iterator[tuple[str, str, str, str]]:
    """Reads the one set of 2012 that comes as the task gave it out: sentences and scores in two aligned files."""
    pairs = aligned_lines(folder, "STS.input.MSRvid.txt", "STS.gs.MSRvid.txt")
    for number, (sentences, score) in enumerate(pairs, start=1):
        first, tab, second = sentences.partition("\t")
        if not tab or "\t" in second:
            raise ValueError(f"{folder}/STS.input.MSRvid.txt, line {number}: must hold two sentences, parted by a tab.")
        yield f"{folder}/STS.gs.MSRvid.txt, line {number}", score, first, second


def _scored(pairs: Iterator[tuple[str, str, str, str]]) -> ScoredPairs:
    first, second, scores = [], [], []
    for place, score, left, right in pairs:
        if not score:
            continue
        try:
            scores.append(float(score))
        except ValueError:
            raise ValueError(f"{place}: score {score!r} is no number.") from None
        first.append(left.strip())
        second.append(right.strip())
    return ScoredPairs(first, second, scores)


def _labelled(pairs: Iterator[tuple[str, str, str, str]]) -> LabelledPairs:
    first, second, labels = [], [], []
    for place, label, left, right in pairs:
        if label not in ("0", "1"):
            raise ValueError(f"{place}: label {label!r} must be 0 or 1.")
        first.append(left)
        second.append(right)
        labels.append(int(label))
    return LabelledPairs(first, second, labels)
