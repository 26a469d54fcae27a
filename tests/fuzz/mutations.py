"""Damage that a fuzz test does to a valid file, as plain values: drawn by Hypothesis, shrunk by it, kept as seeds.

A mutation of JSON picks a place in the document and puts something odd there; a mutation of bytes overwrites, removes,
inserts or repeats a few of them. Both are lists of small tuples, so that a finding can be written into `seeds.json`
and is tried again in every run.
"""

import copy
import json
from typing import Any

from hypothesis import strategies as st

# Values that readers trip over: wrong types, edges of ranges, numbers that no machine holds, hostile strings.
ODD: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3.5, -0.0, 1e-300, 1e308, 2**31, 2**53, 2**63, 2**64, -(2**63), 10**30, 10**400,
    "", " ", "0", "1", "true", "null", "nan", "../..", "/", "/etc/passwd", "\x00", "\x1b]0;t\x07", "\u202e", "\ufeff",
    "a" * 5000, "é", "(a+)+$", "{}", "[MASK]", "</s>", "mean", "cls", "torch.nn.modules.activation.Tanh", "t5", "bert",
    [], [[]], {}, [None], [1, 2, 3], {"a": 1}, {"": ""}, [[0, 1e999]], "__class__", "auto_map", "Infinity",
]  # fmt: skip

JsonMutation = tuple[str, int, int]
ByteMutation = tuple[str, int, int]

json_mutations = st.lists(
    st.tuples(
        st.sampled_from(["replace", "replace", "delete", "rename", "copy", "nest"]),
        st.integers(0, 400),
        st.integers(0, len(ODD) - 1),
    ),
    min_size=1,
    max_size=3,
)
byte_mutations = st.lists(
    st.tuples(
        st.sampled_from(["set", "set", "cut", "drop", "insert", "repeat", "digits"]),
        st.integers(0, 1 << 20),
        st.integers(0, 255),
    ),
    min_size=1,
    max_size=4,
)


def damaged_json(document: Any, mutations: list[JsonMutation]) -> str:
    """Returns the text of a copy of a JSON document with the mutations done to it, one after another."""
    document = json.loads(json.dumps(document))
    for kind, place, odd in mutations:
        places = [((), None), *_places(document)]
        holder, key = places[place % len(places)]
        value = copy.deepcopy(ODD[odd % len(ODD)])
        if key is None:
            document = value if kind == "replace" else document
        elif kind == "replace":
            holder[key] = value
        elif kind == "delete":
            del holder[key]
        elif kind == "nest":
            for _ in range(odd + 1):
                holder[key] = [holder[key]]
        elif isinstance(holder, dict):
            name = value if isinstance(value, str) else str(key) + "_"
            holder[name] = holder.pop(key) if kind == "rename" else holder[key]
        else:
            holder.insert(key, holder[key])
    return json.dumps(document, allow_nan=True)


def damaged_bytes(content: bytes, mutations: list[ByteMutation]) -> bytes:
    """Returns a copy of some bytes with the mutations done to it, one after another."""
    data = bytearray(content)
    for kind, place, value in mutations:
        at = place % (len(data) + 1)
        if kind == "set" and at < len(data):
            data[at] = value
        elif kind == "cut":
            del data[at:]
        elif kind == "drop":
            del data[at : at + 1 + value % 16]
        elif kind == "insert":
            data[at:at] = bytes([value]) * (1 + place % 5)
        elif kind == "repeat":
            data[at:at] = bytes(data[at : at + 64]) * (value % 8)
        elif kind == "digits":  # sizes in headers are often written out
            digits = [index for index, byte in enumerate(data[:4096]) if 48 <= byte <= 57]
            if digits:
                data[digits[place % len(digits)]] = 48 + value % 10
    return bytes(data)


def _places(document: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a document, outermost first, at most some hundred of them."""
    found: list[tuple[Any, Any]] = []
    waiting = [document] if isinstance(document, dict | list) else []
    while waiting and len(found) < 400:
        holder = waiting.pop(0)
        keys = list(holder) if isinstance(holder, dict) else range(min(len(holder), 40))
        for key in keys:
            found.append((holder, key))
            if isinstance(holder[key], dict | list):
                waiting.append(holder[key])
    return found
