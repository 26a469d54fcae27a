"""The parts of `benchmarks/instruction_tuning` that decide what its figures mean: arms, crossed labels, intervals."""

from types import ModuleType

import numpy as np
import pytest

from instructor_jax.train.data.examples import Example, Side

from .conftest import Load

pytestmark = pytest.mark.parametrize("module", ["benchmarks/instruction_tuning"], indirect=True)


@pytest.fixture
def parts(module: Load) -> dict[str, ModuleType]:
    pytest.importorskip("mteb", reason="needs the extra `eval`")
    return {name: module(name) for name in ("arms", "crossed_labels", "report")}


def _example(task: str, row: int) -> Example:
    query, document = f"{task} query: ", f"{task} document: "
    negatives = (Side(document, f"n{row}"),)
    return Example(Side(query, f"q{row}"), Side(document, f"p{row}"), negatives, task, str(row))


def test_arms_differ_in_nothing_but_instructions(parts: dict[str, ModuleType]) -> None:
    drawn = [_example(task, row) for task in ("a", "b", "c") for row in range(2)]
    read = {arm: parts["arms"].as_read(drawn, arm, 0) for arm in parts["arms"].ARMS}
    assert read["own"] == drawn
    for arm in ("none", "shuffled"):
        for one, other in zip(drawn, read[arm], strict=True):
            assert (one.task, one.row_id, one.query.text, one.positive.text) == (
                other.task, other.row_id, other.query.text, other.positive.text,
            )  # fmt: skip
            assert one.query.instruction != other.query.instruction
    assert all(not one.query.instruction and not one.negatives[0].instruction for one in read["none"])
    taken = {one.task: (one.query.instruction, one.positive.instruction) for one in read["shuffled"]}
    assert len(set(taken.values())) == 3  # a task's are another's, the same for all of its rows
    assert all(query.split()[0] == document.split()[0] != task for task, (query, document) in taken.items())


class _Told:
    """A model whose vector is what the instruction asks for, or always the first of two labels."""

    def __init__(self, obeys: bool) -> None:
        self.obeys = obeys

    def encode(self, texts: list[str], instruction: str) -> np.ndarray:
        part = 1 if self.obeys and instruction == "other" else 0
        kinds = sorted({text.split()[part] for text in texts})
        return np.eye(len(kinds))[[kinds.index(text.split()[part]) for text in texts]]


@pytest.mark.parametrize(("obeys", "expected"), [(True, 100.0), (False, 50.0)])
def test_crossed_labels_tell_obedience_from_a_fixed_preference(
    parts: dict[str, ModuleType], obeys: bool, expected: float
) -> None:
    texts = [f"{first} {second} {row}" for first in "ab" for second in "xyz" for row in range(2)]
    one, other = (np.array([text.split()[part] for text in texts]) for part in (0, 1))
    assert parts["crossed_labels"].preferred(_Told(obeys), texts, ("one", "other"), (one, other)) == expected


def test_intervals(parts: dict[str, ModuleType]) -> None:
    report = parts["report"]
    differences = np.array([[1.0, 3.0], [2.0, 4.0], [3.0, 5.0]])  # means of seeds 2, 3, 4
    low, high = report.over_seeds(differences)
    assert (low, high) == pytest.approx((3 - 4.30265 / 3**0.5, 3 + 4.30265 / 3**0.5), abs=1e-4)  # t(0.975; 2) = 4.30265
    assert report.over_tasks(differences) == (2.0, 4.0)  # means over two tasks: 2, 3 or 4, the ends in a quarter each
    assert report.over_seeds(differences[:1]) == (-np.inf, np.inf)  # one seed tells nothing of seeds
