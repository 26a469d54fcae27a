"""A tokenizer as the rest of the library sees it: a function from texts to ids, and its one error."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable  # beartype asks in tests
class TokenIds(Protocol):
    """Turns strings into token ids that end with the end-of-sequence token, without truncation or padding."""

    def __call__(self, strings: Sequence[str]) -> list[list[int]]: ...


class UnreadableTextError(ValueError):
    """A text that a tokenizer cannot read.

    Attributes:
        index: which of the strings it was given.
        reason: a phrase.
    """

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(f"text {index} cannot be tokenised: {reason}")
        self.index, self.reason = index, reason
