"""Small operations on plain text that several readers share: white space, passages, groups of equal meaning."""

import hashlib
import itertools
import re
from collections.abc import Iterable, Iterator

PASSAGE_CHARACTERS = 1200  # about 250 tokens: a passage and its instruction fit into 512 tokens with room to spare


SENTENCE_END = re.compile(r"[.!?]\s+|\n\s*\n")


def squeeze(text: str) -> str:
    """Returns the text on one line: every run of white space becomes one space.

    For indentation that is layout, not content.
    """
    return " ".join(text.split())


def group_id(*texts: str) -> str:
    """Returns a short stable name of a group of rows, from what its members have in common."""
    return hashlib.blake2b("\x1f".join(texts).encode(), digest_size=8).hexdigest()


def chained(texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yields each distinct text of a group with the next one: n - 1 pairs of n texts that mean the same.

    All pairs would give a group of forty texts 780 rows and drown the small groups.
    """
    distinct = list(dict.fromkeys(squeeze(text) for text in texts if text.strip()))
    yield from itertools.pairwise(distinct)


def passage_around(text: str, start: int, end: int, width: int = PASSAGE_CHARACTERS) -> str:
    """Returns about `width` characters around `text[start:end]`, from the start of a sentence to the end of one.

    Where no sentence begins or ends in the window the cut falls between words; the span itself is never cut.
    """
    margin = max(0, width - (end - start)) // 2
    left, right = max(0, start - margin), min(len(text), end + margin)
    if left > 0:
        cut = SENTENCE_END.search(text, left, start) or re.compile(r"\s+").search(text, left, start)
        left = cut.end() if cut else start
    if right < len(text):
        cuts = list(SENTENCE_END.finditer(text, end, right)) or list(re.compile(r"\s+").finditer(text, end, right))
        right = cuts[-1].end() if cuts else end
    return squeeze(text[left:right])
