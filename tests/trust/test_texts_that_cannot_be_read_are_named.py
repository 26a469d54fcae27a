"""Texts in every kind of column give the vectors of a list; what is no text is named by its index, in one line."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from instructor_jax import Instructor
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.io.tokenizers.folders import TokenIds, load_token_ids
from instructor_jax.text.instructions import Instruction
from instructor_jax.text.prompts import resolve_pairs
from instructor_jax.text.tokenization import Pair, Tokenizer

from ..small_models import SMALL, tokenizer_folder

PLAIN = ModelFolder(Path(), SMALL)
TEXTS = ["the river", "", "é 日本", "a\x00b"]
PAIRS = [["Represent the title: ", "the river"], ["", "water"]]


class Iterable:
    """Knows nothing but how to be iterated over."""

    def __iter__(self) -> Iterator[str]:
        return iter(TEXTS)


def column(library: str, make: Callable[[Any], Any]) -> Callable[[], Any]:
    return lambda: make(pytest.importorskip(library))


COLUMNS: dict[str, Callable[[], Any]] = {
    "list": lambda: TEXTS,
    "tuple": lambda: tuple(TEXTS),
    "values of a dict": lambda: {str(n): text for n, text in enumerate(TEXTS)}.values(),
    "keys of a dict": lambda: dict.fromkeys(TEXTS).keys(),
    "generator": lambda: (text for text in TEXTS),
    "iterator": lambda: iter(TEXTS),
    "iterable": Iterable,
    "map": lambda: map(str, TEXTS),
    "strings of numpy": lambda: [np.str_(text) for text in TEXTS],
    "array of strings": lambda: np.array(TEXTS),
    "array of objects": lambda: np.array(TEXTS, object),
    "pandas Series": column("pandas", lambda pd: pd.Series(TEXTS)),
    "pandas Series with an index": column("pandas", lambda pd: pd.Series(TEXTS, index=[7, 5, 3, 1])),
    "pandas Series of objects": column("pandas", lambda pd: pd.Series(TEXTS, dtype=object)),
    "pandas categories": column("pandas", lambda pd: pd.Series(TEXTS, dtype="category")),
    "pandas Index": column("pandas", lambda pd: pd.Index(TEXTS)),
    "column of a pandas table": column("pandas", lambda pd: pd.DataFrame({"text": TEXTS, "n": range(4)})["text"]),
    "polars Series": column("polars", lambda pl: pl.Series(TEXTS)),
    "column of a polars table": column("polars", lambda pl: pl.DataFrame({"text": TEXTS})["text"]),
    "pyarrow Array": column("pyarrow", lambda pa: pa.array(TEXTS)),
    "pyarrow large strings": column("pyarrow", lambda pa: pa.array(TEXTS, pa.large_string())),
    "pyarrow ChunkedArray": column("pyarrow", lambda pa: pa.chunked_array([TEXTS[:1], TEXTS[1:]])),
    "pyarrow dictionary": column("pyarrow", lambda pa: pa.array(TEXTS).dictionary_encode()),
    "column of a pyarrow table": column("pyarrow", lambda pa: pa.table({"text": TEXTS})["text"]),
}  # fmt: skip
OF_PAIRS: dict[str, Callable[[], Any]] = {
    "tuples": lambda: [tuple(pair) for pair in PAIRS],
    "array": lambda: np.array(PAIRS),
    "pandas Series": column("pandas", lambda pd: pd.Series(PAIRS)),
    "polars Series": column("polars", lambda pl: pl.Series(PAIRS)),
    "pyarrow Array": column("pyarrow", lambda pa: pa.array(PAIRS)),
}  # fmt: skip


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("kind", COLUMNS)
def test_columns_are_texts(kind: str) -> None:
    assert resolve_pairs(COLUMNS[kind](), PLAIN, "I: ") == [("I: ", text) for text in TEXTS]
    named = dataclasses.replace(PLAIN, prompts={"query": "Q: "}, default_prompt_name="query")
    assert resolve_pairs(COLUMNS[kind](), named) == [("Q: ", text) for text in TEXTS]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("kind", OF_PAIRS)
def test_columns_of_pairs(kind: str) -> None:
    assert resolve_pairs(OF_PAIRS[kind](), PLAIN) == [tuple(pair) for pair in PAIRS]


@pytest.mark.usefixtures("unchecked")
def test_the_vectors_of_a_column_are_those_of_its_list(embedder: Instructor) -> None:
    wanted = embedder.encode(TEXTS, instruction="I: ")
    for kind in (
        "pandas Series with an index",
        "polars Series",
        "pyarrow ChunkedArray",
        "array of objects",
        "generator",
    ):
        np.testing.assert_array_equal(embedder.encode(COLUMNS[kind](), instruction="I: "), wanted)


MISSING: dict[str, Callable[[], Any]] = {
    "None": lambda: ["a", None],
    "NaN": lambda: ["a", float("nan")],
    "NaN of numpy": lambda: np.array(["a", np.nan], object),
    "pandas": column("pandas", lambda pd: pd.Series(["a", None])),
    "pandas NA": column("pandas", lambda pd: ["a", pd.NA]),
    "pandas strings": column("pandas", lambda pd: pd.Series(["a", None], dtype="string")),
    "polars": column("polars", lambda pl: pl.Series(["a", None])),
    "pyarrow": column("pyarrow", lambda pa: pa.array(["a", None])),
}  # fmt: skip


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("kind", MISSING)
def test_missing_values_are_named_by_their_index(kind: str) -> None:
    with pytest.raises(ValueError, match=r"sentences\[8193\] is .*, a missing value; fill or drop it"):
        resolve_pairs(MISSING[kind](), PLAIN, first=8192)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: np.array("a"), "an array without dimensions"),
        (lambda: {"a": 1}, "a mapping"),
        (lambda: {"a"}, "which has no order"),
        (lambda: frozenset("a"), "which has no order"),
        (lambda: b"a", "a single bytes; put it into a list"),
        (lambda: bytearray(b"a"), "a single bytearray"),
        (lambda: Instruction(text_type="title"), "nothing that can be iterated over"),
        (lambda: None, "nothing that can be iterated over"),
        (lambda: 3, "nothing that can be iterated over"),
        (lambda: 1.5, "nothing that can be iterated over"),
        (column("pandas", lambda pd: pd.DataFrame({"t": ["a"]})), "a table; pass one of its columns"),
        (column("polars", lambda pl: pl.DataFrame({"t": ["a"]})), "a table; pass one of its columns"),
        (column("pyarrow", lambda pa: pa.table({"t": ["a"]})), "a table; pass one of its columns"),
        (lambda: np.array([1, 2]), r"sentences\[0\] is 1 \(int\)"),
        (lambda: np.array([b"a"]), r"sentences\[0\] is b'a' \(bytes\)"),
        (lambda: np.array([["a"]]), r"sentences\[0\] is a list of 1 \(str\)"),
        (lambda: [{"text": "a"}], r"sentences\[0\] is a dict"),
        (lambda: ["a", Instruction(text_type="title")], r"sentences\[1\] is a Instruction"),
        (lambda: range(2), r"sentences\[0\] is 0 \(int\)"),
    ],
)
def test_what_is_no_list_of_texts(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        resolve_pairs(make(), PLAIN)
    assert str(error.value).isprintable()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "arguments",
    [
        ([["\x1b[31m" * 50, "x"]], {"instruction": "\x9b\u202e" * 500}),
        (["x"], {"prompt_name": "\x1b]0;title\x07" * 100}),
        (["x"], {"instruction": b"\x1b[31m"}),
        ([type("\x1b[31m", (), {})()], {}),
        ([["\x1b", 3]], {}),
    ],
)
def test_messages_hold_no_control_characters_and_end(arguments: tuple[list, dict]) -> None:
    sentences, options = arguments
    folder = dataclasses.replace(PLAIN, prompts={f"\x1b[31m{n}" * 9: "" for n in range(99)})
    with pytest.raises(ValueError, match=".") as error:
        resolve_pairs(sentences, folder, **options)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 1000


# --- Texts that no tokenizer reads -----------------------------------------------------------------------------------

HALVES = ["\ud800", "a\udfffb", "\udcff", "\ude00\ud83d"]


def bytes_folder(path: Path) -> Path:
    (path / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer"}')
    return path


@pytest.mark.parametrize("make", [tokenizer_folder, bytes_folder])
def test_half_of_a_surrogate_pair_is_named_by_its_text(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    tokenizer = Tokenizer(load_token_ids(make(tmp_path)), 64)
    for half in HALVES:
        pairs = [Pair("I: ", "fine")] * 5 + [Pair("I: ", f"bad {half}"), Pair("I: ", half)]
        for run in (lambda: tokenizer(pairs, first=100), lambda: tokenizer.windows(pairs, first=100)):  # noqa: B023
            with pytest.raises(
                ValueError, match=r"text 105 \('bad .*\) cannot .*: character \d+ is half of a surr"
            ) as error:
                run()
            assert str(error.value).isprintable()
            str(error.value).encode()
        with pytest.raises(ValueError, match=r"the instruction '.*' cannot be tokenised: character"):
            tokenizer.instruction_length(f"I{half}: ")


@pytest.mark.slow
@pytest.mark.parametrize("option", ["warn", "mean_of_windows"])
def test_encode_names_the_text(embedder: Instructor, option: str) -> None:
    texts = ["a"] * 70
    for at in (0, 69):
        with pytest.raises(ValueError, match=f"text {at} .*surrogate"):
            embedder.encode([*texts[:at], "x\ud800", *texts[at:]], on_overflow=option)
    with pytest.raises(ValueError, match="surrogate"):
        embedder.encode(["a"], instruction="\udc80: ")
    with pytest.raises(ValueError, match="text 1 .*surrogate"):
        embedder.encode([["i", "a"], ["\udc80", "a"]])
    with pytest.raises(ValueError, match="text 8200 .*surrogate"):
        list(embedder.encode_stream(text for text in [*["a"] * 8200, "\ud800"]))


class Panic(BaseException):
    """What the tokenizers library raises where Rust panics: no `Exception`."""


def test_a_panic_is_one_error_with_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from instructor_jax.io.tokenizers import folders as tokenizer_folders

    whole = load_token_ids(tokenizer_folder(tmp_path))

    def panicking(strings: Sequence[str]) -> list[list[int]]:
        if any("boom" in string for string in strings):
            raise Panic("called `Option::unwrap()` on a `None` value\n\x1b[31m" + "x" * 5000)
        return whole(strings)

    guarded: TokenIds = tokenizer_folders._naming_the_text(panicking)
    with pytest.raises(ValueError, match="text 7 .*cannot be tokenised .*called `Option::unwrap") as error:
        Tokenizer(guarded, 64)([Pair("", "a")] * 4 + [Pair("", "boom")], first=3)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 1000
    for stop in (KeyboardInterrupt, SystemExit):
        monkeypatch.setattr(Panic, "__new__", lambda cls, *args, stop=stop: stop())
        with pytest.raises(stop):
            guarded(["boom"])


# --- Long and odd texts take time in proportion ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def packaged() -> TokenIds:
    from instructor_jax.io.default_model import DEFAULT_FOLDER

    return load_token_ids(DEFAULT_FOLDER)


@pytest.mark.parametrize(
    "text", ["a", "the ", "  a", "\u0301", "\ufdfa", "</s>", "<pad> ", "日", "\u200d", "😀", "\x00", "\n"]
)
def test_long_texts_take_time_in_proportion(packaged: TokenIds, text: str) -> None:
    times = []
    for count in (20_000, 80_000):
        start = time.process_time()
        packaged([text * count])
        times.append(time.process_time() - start)
    assert times[1] < 12 * times[0] + 0.2  # four times the text; a quadratic search would take sixteen
