"""The paper's template, and the linter against the published instructions themselves."""

import csv
from pathlib import Path

import pytest

from instructor_jax import Instruction
from instructor_jax.text.instructions import lint_instruction


@pytest.mark.parametrize(
    ("parts", "rendered"),
    [
        (("Science", "title", ""), "Represent the Science title: "),
        (("Medicine", "sentence", "clustering"), "Represent the Medicine sentence for clustering: "),
        (("", "question", "retrieving duplicates"), "Represent the question for retrieving duplicates: "),
        (("Wikipedia", "", ""), "Represent the Wikipedia: "),
    ],
)
def test_the_template(parts: tuple[str, str, str], rendered: str) -> None:
    instruction = Instruction(*parts)
    assert str(instruction) == rendered == instruction.render()
    assert lint_instruction(rendered) == []


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"domain": "", "text_type": ""}, "needs a text type"),
        ({"domain": " ", "text_type": ""}, "needs a text type"),
        ({"domain": "Science ", "text_type": "title"}, "domain='Science '"),
        ({"text_type": "title\n"}, "text_type="),
        ({"text_type": "title", "objective": "a\nb"}, "objective="),
    ],
)
def test_parts_that_would_spoil_it_are_refused(parts: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Instruction(**parts)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("value", [None, 3, b"title", ["title"]])
def test_parts_are_strings(value: object) -> None:
    with pytest.raises(ValueError, match=f"text_type must be a string, not a {type(value).__name__}"):
        Instruction(text_type=value)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=f"must be a string, not a {type(value).__name__}"):
        lint_instruction(value)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("instruction", "finding"),
    [
        ("Embed the title: ", "does not begin with 'Represent'"),
        ("Represent the title", "does not end in ':'"),
        ("Represent the title:", "no space after ':'"),
        ("Represent the\ntitle: ", "several lines"),
        ("Represent the " + "very " * 40 + "long title: ", "words"),
        ("Represent the {domain} title: ", "placeholder"),
        ("Represent the for retrieval: ", "neither a domain nor a text type"),
    ],
)
def test_each_finding(instruction: str, finding: str) -> None:
    [found] = lint_instruction(instruction)
    assert finding in found


def test_no_instruction_is_no_finding() -> None:
    assert lint_instruction("") == lint_instruction("  ") == []


def test_published_instructions_pass(shared: Path) -> None:
    """What the linter calls unlike the published instructions must not be one; a single one lists all its classes."""
    with (shared / "reference" / "published_instructions.csv").open(encoding="utf-8") as file:
        rows = [row["exact"] for row in csv.DictReader(file) if row["exact"]]
    assert len(rows) > 100
    unlike = [found for row in rows if (found := lint_instruction(row))]
    assert unlike == [["has 71 words; all published instructions but one have at most 40"]]
