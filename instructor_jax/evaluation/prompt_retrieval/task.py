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
        tokens: most of the query's input and all demonstrations together; the first that does not fit ends the choice.
        each: a demonstration with more is passed over.
        most: only this many nearest are considered; one that is passed over is not replaced.
        joined: count a demonstration's input and output as one string; otherwise apart.
    """

    tokens: int
    each: int | None = None
    most: int | None = None
    joined: bool = False


@dataclasses.dataclass(frozen=True)
class PromptTask:
    """One task.

    Attributes:
        task: its name in tables of instructions and of scores.
        title: its name for people, with the source of its data.
        pool_files, test_files: stems of the files that hold the pool and the test rows, the original names included.
        fields: what every row must have, named as in the public data set.
        draw: how pool and test are drawn, always with seed 0; see `prompt_data`.
        pool, test: how many rows are drawn; None is all.
        text: what is embedded of a row.
        demonstration: a row as (input, output) of a prompt, of the query only the input is used; None for the two tasks
            whose language model is gone.
        label: what is predicted, as a string; None where no prompt can be run.
        scored: what ROUGE-L compares, in words.
        options: strings the language model chooses from, by label; or a function of the row; None where it writes.
        kind: what makes two rows alike in the cheap mode; None where nothing does.
        centred: "both" subtracts from pool and test each its own mean vector; "pool" from the pool alone.
        skips_identical: passes over pool rows whose cosine is exactly 1.
        budget: of the demonstrations.
        learner: how the language model answers.
        prepared: makes of a row of the file the row that the other functions take.
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
        """The options for one row: label to string."""
        assert self.options is not None
        return self.options(row) if callable(self.options) else self.options
