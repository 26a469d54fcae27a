"""A mixture whose instructions are left away: the other arm of the question what instructions are worth."""

import dataclasses
from collections.abc import Sequence

from .examples import Example
from .token_cache import ExampleSource


class WithoutInstructions:
    """The rows of another source with empty instructions; a source of its own, so it gets a token cache of its own."""

    def __init__(self, source: ExampleSource) -> None:
        self._source = source

    @property
    def fingerprint(self) -> str:
        """Of the content, told apart from that with instructions."""
        return f"{self._source.fingerprint}-bare"

    @property
    def tasks(self) -> tuple[str, ...]:
        """Those of the source."""
        return self._source.tasks

    def rows(self, task: str) -> range:
        """Those of the source."""
        return self._source.rows(task)

    def read(self, rows: Sequence[int]) -> list[Example]:
        """The examples, instructions empty."""
        return [
            dataclasses.replace(
                example,
                query=example.query._replace(instruction=""),
                positive=example.positive._replace(instruction=""),
                negatives=tuple(side._replace(instruction="") for side in example.negatives),
            )
            for example in self._source.read(rows)
        ]
