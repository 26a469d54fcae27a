"""The examples run as their page says and find what a reader expects them to find."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_duplicates_are_pairs_with_the_same_meaning(example, repository: Path) -> None:
    found = example("duplicates.py", repository / "examples" / "questions.txt", 0.6)
    subjects = ("password", "open", "fee|cost", "island", "worn")
    pairs = re.findall(r"\d\.\d\d  (.*)\n +(.*)", found)
    right = [any(re.search(subject, one) and re.search(subject, other) for subject in subjects) for one, other in pairs]
    assert len(pairs) >= 5
    assert sum(right) / len(right) >= 0.8


@pytest.mark.slow
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


@pytest.mark.slow
def test_two_instructions_give_two_pictures_of_one_text(example, tmp_path: Path) -> None:
    lines = example("two_instructions.py", "two.png").splitlines()
    disease, kind = ([float(number) for number in re.findall(r"[+-]\d\.\d+", line)] for line in lines[:2])
    # each instruction sets apart what it names more than what the other one names
    assert disease[0] > disease[1] + 0.1
    assert kind[1] > kind[0] + 0.1
    assert (tmp_path / "two.png").stat().st_size > 10_000


@pytest.mark.slow
def test_an_own_loss_trains_an_own_model(example, tmp_path: Path) -> None:
    printed = example("own_loss.py", "run")
    last = printed.splitlines()[-1]
    found = re.fullmatch(r"8 devices; same fruit ([-\d.]+), other ([-\d.]+)", last)
    assert found is not None, last
    assert float(found[1]) > float(found[2]) + 0.1
    held = [float(value) for value in re.findall(r"'held_out', \{'loss': [\d.]+, 'accuracy': ([\d.]+)", printed)]
    assert held[-1] > held[0]
    sentence_transformers = pytest.importorskip("sentence_transformers")
    from instructor_jax import Instructor

    texts = ["we had plum and fig and pear", "somebody bought apple, melon, grape"]
    instruction = "Represent the note for retrieving the same fruit: "
    model = sentence_transformers.SentenceTransformer(str(tmp_path / "run" / "model"), device="cpu")
    model.set_pooling_include_prompt(False)  # as this model was trained; version 6 forgets it for local folders
    ours = Instructor.from_pretrained(tmp_path / "run" / "model").encode(texts, instruction=instruction)
    np.testing.assert_allclose(ours, model.encode(texts, prompt=instruction), atol=1e-5)


def test_the_page_for_researchers_shows_the_example_as_it_is(repository: Path) -> None:
    code = (repository / "examples" / "own_loss.py").read_text().partition('"""\n\n')[2]
    assert f"```python\n{code}```" in (repository / "docs" / "research.md").read_text()
