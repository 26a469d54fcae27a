"""The examples run as their page says and find what a reader expects them to find."""

import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def example(repository: Path, tmp_path: Path):
    """Runs an example in an empty folder and gives what it printed."""

    def run(name: str, *arguments: object) -> str:
        command = [sys.executable, str(repository / "examples" / name), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_search_finds_the_note_that_answers(example, repository: Path) -> None:
    questions = {
        "how do I get rid of slugs": "garden.md",
        "what to do when the heating loses pressure": "house.md",
        "recipe for bread": "kitchen.md",
        "how to restore a file from the backup": "work.md",
    }
    found = example("search_notes.py", repository / "examples" / "notes", *questions)
    first = [block.splitlines()[1] for block in found.strip().split("\n\n")]
    for (question, file), line in zip(questions.items(), first, strict=True):
        assert file in line, question


def test_duplicates_are_pairs_with_the_same_meaning(example, repository: Path) -> None:
    found = example("duplicates.py", repository / "examples" / "questions.txt", 0.6)
    subjects = ("password", "open", "fee|cost", "island", "worn")
    pairs = re.findall(r"\d\.\d\d  (.*)\n +(.*)", found)
    right = [any(re.search(subject, one) and re.search(subject, other) for subject in subjects) for one, other in pairs]
    assert len(pairs) >= 5
    assert sum(right) / len(right) >= 0.8


def test_clusters_are_topics(example, repository: Path, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    file = repository / "examples" / "headlines.txt"
    found = example("clusters.py", file, 4, "clusters.png")
    headlines = file.read_text().splitlines()  # five of each topic in a row
    topics = [
        [headlines.index(line.strip()) // 5 for line in block.splitlines()[1:] if line.strip() in headlines]
        for block in found.split("\n\n")
        if block.strip().startswith("group")
    ]
    assert sum(map(len, topics)) == 20
    # purity: the share of texts in a group of their topic's majority; groups by chance reach about 0.45
    assert sum(max(group.count(topic) for topic in set(group)) for group in topics) / 20 >= 0.75
    assert (tmp_path / "clusters.png").stat().st_size > 10_000


def test_two_instructions_give_two_pictures_of_one_text(example, tmp_path: Path) -> None:
    lines = example("two_instructions.py", "two.png").splitlines()
    disease, kind = ([float(number) for number in re.findall(r"[+-]\d\.\d+", line)] for line in lines[:2])
    # each instruction sets apart what it names more than what the other one names
    assert disease[0] > disease[1] + 0.1
    assert kind[1] > kind[0] + 0.1
    assert (tmp_path / "two.png").stat().st_size > 10_000
