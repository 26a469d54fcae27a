"""A mixture whose instructions are left away: the other arm of the question what instructions are worth."""

import dataclasses
from collections.abc import Sequence

from .examples import Example
from .token_cache import ExampleSource


class WithoutInstructions:
    """The examples of another source with empty instructions. This ablation has a token cache of its own."""

    def __init__(self, source: ExampleSource) -> None:
        self._source = source

    @property
    def fingerprint(self) -> str:
        """Returns a hash of the content that differs from that with instructions."""
        return f"{self._source.fingerprint}-bare"

    @property
    def tasks(self) -> tuple[str, ...]:
        """Returns the tasks of the other source."""
        return self._source.tasks

    def rows(self, task: str) -> range:
        """Returns the numbers of a task's examples, which are those of the other source."""
        return self._source.rows(task)

    def read(self, rows: Sequence[int]) -> list[Example]:
        """Returns the examples with empty instructions."""
        return [
            dataclasses.replace(
                example,
                query=example.query._replace(instruction=""),
                positive=example.positive._replace(instruction=""),
                negatives=tuple(side._replace(instruction="") for side in example.negatives),
            )
            for example in self._source.read(rows)
        ]
