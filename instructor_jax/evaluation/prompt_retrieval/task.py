"""The record of one Prompt Retrieval task: data, text embedded, prompt, budget, what is scored."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

Row = Mapping[str, Any]

Learner = Literal["options", "greedy", "code-davinci-002"]
Draw = Literal["all_pool", "sample", "one_file", "reviewers", "identity", "dialogues"]


@dataclasses.dataclass(frozen=True)
class Budget:
    """How many demonstrations go into a prompt, counted in tokens of the language model (originally GPT-2's).

    Attributes:
        tokens: Largest number for the query's input and all demonstrations together; the first that does not fit ends
            the choice.
        each: Largest number for one demonstration; one with more is passed over.
        most: Number of nearest examples that are considered; one that is passed over is not replaced.
        joined: Whether a demonstration's input and output are counted as one string, not apart.
    """

    tokens: int
    each: int | None = None
    most: int | None = None
    joined: bool = False


@dataclasses.dataclass(frozen=True)
class PromptTask:
    """One task.

    Attributes:
        task: Name of the task in tables of instructions and of scores.
        title: Name for people, with the source of the data.
        pool_files: Stems of the files that hold the pool, the original names included.
        test_files: Stems of the files that hold the test rows, the original names included.
        fields: Fields that every row must have, named as in the public data set.
        draw: Way in which pool and test are drawn, always with seed 0; see `data.py`.
        pool: Number of rows drawn for the pool; None is all.
        test: Number of rows drawn to be answered.
        text: Function from a row to the text that is embedded.
        demonstration: Function from a row to (input, output) of a prompt, of which the query uses the input; None for
            the two tasks whose language model is gone.
        label: Function from a row to what is predicted, as a string; None where no prompt can be run.
        scored: Strings that ROUGE-L compares, in words.
        options: Strings that the language model chooses from, by label, or a function of the row; None where it writes.
        kind: Function from a row to what makes two rows alike in the cheap mode; None where nothing does.
        centred: Which vectors lose their mean: "both" pool and test, each its own, or the "pool" alone.
        skips_identical: Whether pool rows whose cosine is exactly 1 are passed over.
        budget: Budget of the demonstrations.
        learner: Way in which the language model answers.
        prepared: Function from a row of the file to the row that the other functions take.
    """

    task: str
    title: str
    pool_files: tuple[str, ...]
    test_files: tuple[str, ...]
    fields: tuple[str, ...]
    draw: Draw
    pool: int | None
    test: int
    text: Callable[[Row], str]
    demonstration: Callable[[Row], tuple[str, str]] | None
    label: Callable[[Row], str] | None
    scored: str
    options: Mapping[str, str] | Callable[[Row], Mapping[str, str]] | None
    kind: Callable[[Row], str] | None
    centred: Literal["both", "pool"]
    skips_identical: bool
    budget: Budget
    learner: Learner
    prepared: Callable[[Row], Row] = dict

    def options_of(self, row: Row) -> Mapping[str, str]:
        """Returns the options for one row: label to string."""
        assert self.options is not None
        return self.options(row) if callable(self.options) else self.options
