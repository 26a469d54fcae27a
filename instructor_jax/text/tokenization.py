"""(instruction, text) pairs -> token ids, joined, truncated and masked exactly as InstructorEmbedding 1.0.1 did it.

The text is stripped, the instruction is kept as it is, both are joined without a separator and the result is stripped
again. The instruction alone, stripped, tells how many leading tokens are not pooled: its tokens without
end-of-sequence, or none when that is a single one. Nothing guarantees that the joined string begins with the same
tokens; the original does not check it either, and equal numbers are the point.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Int32, Int64

from instructor_jax.io.printable import one_line
from instructor_jax.io.tokenizers.token_ids import TokenIds, UnreadableTextError
from instructor_jax.text.batches import TokenizedTexts

OnOverflow = Literal["warn", "error", "truncate", "mean_of_windows"]
_CACHED_INSTRUCTIONS = 4096


class Pair(NamedTuple):
    """A text and the instruction it is read under ('' for none)."""

    instruction: str
    text: str


def as_pairs(sentences: Iterable[Any], instruction: str | None, first: int = 0) -> list[Pair]:
    """Normalises what `encode` accepts to pairs.

    Args:
        sentences: strings, or (instruction, text) lists or tuples; a third element, as in the original's inputs, is
            ignored.
        instruction: the instruction of plain strings.
        first: index of the first element among the caller's, for messages.

    Raises:
        ValueError: an element is neither, or a pair is combined with `instruction`; the message names its index.
    """
    pairs = []
    for index, item in enumerate(sentences, first):
        if isinstance(item, str):
            pairs.append(Pair(instruction or "", item))
        elif isinstance(item, list | tuple) and len(item) in (2, 3) and all(isinstance(part, str) for part in item[:2]):
            if instruction is not None:
                raise ValueError(
                    f"sentences[{index}] brings its own instruction {shown_text(item[0])} while instruction="
                    f"{shown_text(instruction)} is given; pass plain strings, or leave `instruction` out."
                )
            pairs.append(Pair(item[0], item[1]))
        else:
            raise ValueError(
                f"sentences[{index}] is {described_item(item)}; expected a string or a pair [instruction, text] of "
                "strings."
            )
    return pairs


def shown_text(text: str) -> str:
    """Returns a text for a message: quoted, on one line, without control characters, cut in length."""
    return one_line(repr(text[:80]), 100) + ("..." if len(text) > 80 else "")


def described_item(item: Any) -> str:
    """Returns what kind of thing was given instead of a text, for a message."""
    if isinstance(item, list | tuple):
        return f"a {type(item).__name__} of {len(item)} ({', '.join(type(part).__name__ for part in item[:4])})"
    name = one_line(type(item).__name__, 60)
    if (isinstance(item, int | float) and item == item) or (isinstance(item, bytes) and len(item) < 40):
        return f"{one_line(repr(item), 60)} ({name})"
    if item is None or isinstance(item, float) or name in ("NAType", "NaTType"):
        return f"{one_line(repr(item), 60)} ({name}), a missing value; fill or drop it"
    return f"a {name}"


class Tokenizer:
    """Tokenises pairs for one model; safe to call from several threads.

    Args:
        token_ids: from `load_token_ids`.
        max_length: most tokens of instruction and text together, end-of-sequence included.
        pool_instruction: pool over the instruction too, for folders that say so.
        vocab: ids at or above this have no embedding and are an error.
    """

    def __init__(
        self, token_ids: TokenIds, max_length: int, *, pool_instruction: bool = False, vocab: int | None = None
    ):
        self._token_ids = token_ids
        self.max_length = max_length
        self.pool_instruction = pool_instruction
        self._vocab = vocab
        self._instruction_lengths: dict[str, int] = {}

    def instruction_length(self, instruction: str) -> int:
        """Tokens of the instruction alone, end-of-sequence included, before any truncation."""
        length = self._instruction_lengths.get(instruction)
        if length is None:
            if len(self._instruction_lengths) >= _CACHED_INSTRUCTIONS:
                self._instruction_lengths.clear()  # a caller with a new instruction per text must not fill the memory
            length = self._instruction_lengths[instruction] = len(self._instruction_ids(instruction))
        return length

    def _instruction_ids(self, instruction: str) -> list[int]:
        try:
            return self._token_ids([instruction.strip()])[0]
        except UnreadableTextError as error:
            raise ValueError(
                f"the instruction {shown_text(instruction)} cannot be tokenised: {error.reason}"
            ) from error

    def _joined_ids(self, pairs: Sequence[Pair], first: int) -> list[list[int]]:
        try:
            return self._token_ids([(pair.instruction + pair.text.strip()).strip() for pair in pairs])
        except UnreadableTextError as error:
            raise ValueError(
                f"text {first + error.index} ({shown_text(pairs[error.index].text)}) cannot be tokenised with its "
                f"instruction: {error.reason}"
            ) from error

    def unpooled(self, instruction: str) -> int:
        """How many leading tokens are not pooled: the instruction's, or none where it is a single one.

        InstructorEmbedding 1.0.1 sets lengths of at most 1 to 0, so a one-piece instruction is pooled.
        """
        if self.pool_instruction:
            return 0
        length = min(self.instruction_length(instruction), self.max_length) - 1
        return length if length > 1 else 0

    def __call__(self, pairs: Sequence[Pair], on_overflow: OnOverflow = "truncate", first: int = 0) -> TokenizedTexts:
        """Tokenises and truncates; `mean_of_windows` is not truncation: use `windows`.

        Args:
            pairs: instructions and texts.
            on_overflow: what to do with texts that are too long.
            first: index of the first pair among the caller's texts, for messages.

        Raises:
            ValueError: a text is too long (with "error"), or an instruction alone is (unless "truncate").
        """
        rows = self._joined_ids(pairs, first)
        full = np.fromiter((len(row) for row in rows), np.int32, len(rows))
        self._check(pairs, full, on_overflow, first)
        return self._truncated(rows, [pair.instruction for pair in pairs], full)

    def of_ids(self, items: Sequence[tuple[str, Sequence[int]]]) -> TokenizedTexts:
        """Takes texts that are token ids already, and puts their instructions before them.

        Args:
            items: for each text its instruction and its ids; tokens that begin and end every text are added where it
                lacks them.

        Returns:
            The texts, truncated to the length limit.
        """
        *begin, end = self._token_ids([""])[0]
        rows = []
        for instruction, given in items:
            head = self._instruction_ids(instruction)[:-1] if instruction.strip() else begin
            ids = list(given)
            if begin and ids[: len(begin)] == begin:
                ids = ids[len(begin) :]  # the beginning of a text comes once, before the instruction
            rows.append([*head, *ids] if ids and ids[-1] == end else [*head, *ids, end])
        full = np.fromiter((len(row) for row in rows), np.int32, len(rows))
        return self._truncated(rows, [instruction for instruction, _ in items], full)

    def _truncated(
        self, rows: list[list[int]], instructions: list[str], full: Int32[np.ndarray, "texts"]
    ) -> TokenizedTexts:
        """Cuts rows at the length limit, their last token kept."""
        cut = [row if len(row) <= self.max_length else [*row[: self.max_length - 1], row[-1]] for row in rows]
        unpooled = np.fromiter(map(self.unpooled, instructions), np.int32, len(rows))
        return self._pack(cut, unpooled, full)

    def windows(self, pairs: Sequence[Pair], first: int = 0) -> tuple[TokenizedTexts, Int64[np.ndarray, "windows"]]:
        """Cuts texts that are too long into windows, each with the instruction in front and end-of-sequence behind.

        Args:
            pairs: instructions and texts.
            first: index of the first pair among the caller's texts, for messages.

        Returns:
            The windows, and for each the index of the text it belongs to.
        """
        rows = self._joined_ids(pairs, first)
        self._check(pairs, np.fromiter((len(row) for row in rows), np.int32, len(rows)), "warn")
        cut: list[list[int]] = []
        unpooled: list[int] = []
        owner: list[int] = []
        full: list[int] = []
        for index, (pair, row) in enumerate(zip(pairs, rows, strict=True)):
            head = self.instruction_length(pair.instruction) - 1
            body, end = row[head:-1], row[-1:]
            size = self.max_length - head - 1
            pieces = (
                [row]
                if len(row) <= self.max_length
                else [[*row[:head], *body[start : start + size], *end] for start in range(0, len(body), size)]
            )
            cut += pieces
            unpooled += [self.unpooled(pair.instruction)] * len(pieces)
            owner += [index] * len(pieces)
            full += [len(row)] * len(pieces)
        texts = self._pack(cut, np.asarray(unpooled, np.int32), np.asarray(full, np.int32))
        return texts, np.asarray(owner, np.int64)

    def _check(
        self, pairs: Sequence[Pair], full: Int32[np.ndarray, "texts"], on_overflow: OnOverflow, first: int = 0
    ) -> None:
        # Under "truncate" the original's behaviour: the instruction is cut, and end-of-sequence alone is pooled.
        for instruction in {pair.instruction for pair in pairs} if on_overflow != "truncate" else ():
            length = self.instruction_length(instruction)
            if length >= self.max_length:
                raise ValueError(
                    f"the instruction {shown_text(instruction)} has {length} tokens, the limit of instruction and text "
                    f"together is max_length={self.max_length}; no text would be read. Shorten the instruction, or cut "
                    "it with on_overflow='truncate'."
                )
        long = np.flatnonzero(full > self.max_length)
        if len(long) and on_overflow == "error":
            raise ValueError(
                f"text {first + long[0]} has {full[long[0]]} tokens with its instruction, more than max_length="
                f"{self.max_length} (and {len(long) - 1} more texts); shorten it, or choose on_overflow='truncate' or "
                "'mean_of_windows'."
            )

    def _pack(
        self, rows: list[list[int]], unpooled: Int32[np.ndarray, "texts"], full: Int32[np.ndarray, "texts"]
    ) -> TokenizedTexts:
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        tokens = np.fromiter((token for row in rows for token in row), np.int32, int(offsets[-1]))
        if self._vocab is not None and len(tokens) and tokens.max() >= self._vocab:
            raise ValueError(
                f"the tokenizer gave token id {tokens.max()}, but the model's vocabulary has only {self._vocab} "
                "entries; tokenizer and weights do not belong together."
            )
        return TokenizedTexts(tokens, offsets, unpooled, full)
