"""SentencePiece's compiled table of replacements (`precompiled_charsmap`), checked before a library walks it.

The bytes are a length, a double array of that many bytes, and the replacements, each ended by a zero byte. The
tokenizers library follows the array's indices without looking at bounds, so a damaged table ends in a panic or in an
attempt to allocate gigabytes. The layout is that of `spm_precompiled` 0.1 (lib.rs) and of Darts-clone (unit.h).
"""

import base64
import binascii

import numpy as np
from jaxtyping import Int64, UInt32

# nmt_nfkc_cf, the largest that SentencePiece ships, has 0.3 MB.
_BYTES = 4 << 20
# Bytes of a sequence that is replaced; in SentencePiece's own tables at most five characters.
_KEY = 64


def charsmap_growth(encoded: str) -> int:
    """Returns the most characters that the table puts in the place of one, at least 1.

    Args:
        encoded: the table in base64, as a tokenizer.json holds it; "" is a table without replacements.

    Raises:
        ValueError: the table is damaged; the message continues "its precompiled_charsmap".
    """
    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("is not base64") from error
    size = int.from_bytes(content[:4], "little")
    if not 4 <= len(content) <= _BYTES or size % 4 or not 4 <= size <= len(content) - 4:
        raise ValueError(f"has {len(content):,} bytes and a table of {size:,}, which do not fit each other")
    units = np.frombuffer(content, "<u4", size // 4, offset=4)
    texts = content[4 + size :]
    try:
        texts.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("has replacements that are not UTF-8") from error
    return max(1, _longest(_values(units), texts))


def _values(units: UInt32[np.ndarray, " units"]) -> Int64[np.ndarray, " leaves"]:
    """Returns where the replacements of all keys begin.

    A node is its base; the child under byte c lies at base XOR c and says c itself. So each unit knows its only
    possible parent, and all nodes of one depth are found by looking at the whole array once.
    """
    wide = units.astype(np.int64)
    base = np.arange(len(wide)) ^ (wide >> 10) << ((wide & 0x200) >> 6)
    label = wide & 0x800000FF
    child = np.flatnonzero((label > 0) & (label < 0x100))
    parent = child ^ label[child]
    child, parent = child[parent < len(wide)], parent[parent < len(wide)]
    reached = np.zeros(len(wide), bool)
    nodes = base[:1]
    values = []
    for _ in range(_KEY):
        if nodes.max(initial=0) | 0xFF >= len(wide):  # the library looks up whatever byte the text has next
            raise ValueError("points outside itself")
        reached[:] = False
        reached[nodes] = True
        found = child[reached[parent]]
        if not len(found):
            return np.concatenate(values) if values else np.zeros(0, np.int64)
        nodes = base[found]
        leaves = nodes[(wide[found] & 0x100) > 0]
        if leaves.max(initial=0) >= len(wide):
            raise ValueError("points outside itself")
        values.append(wide[leaves] & 0x7FFFFFFF)
    raise ValueError(f"has a key of more than {_KEY} bytes, or one without an end")


def _longest(starts: Int64[np.ndarray, " leaves"], texts: bytes) -> int:
    """Returns the characters of the longest replacement."""
    if not len(starts):
        return 0
    content = np.frombuffer(texts, np.uint8)
    begins = (content & 0xC0) != 0x80  # of a character
    if starts.max() > len(content) or not begins[starts[starts < len(content)]].all():
        raise ValueError("names replacements that it does not have")
    ends = np.append(np.flatnonzero(content == 0), len(content))
    last = ends[np.searchsorted(ends, starts)]
    before = np.concatenate([[0], np.cumsum(begins)])
    return int((before[last] - before[starts]).max())
