"""The four line forms of the sentence-transformers training files."""

import pytest

from instructor_jax.train.data.examples import Example, Side
from instructor_jax.train.medi.sentence_transformers_files import read_sentence_transformers


def _read(make_folder, *lines):
    folder = make_folder({"data.jsonl.gz": "\n".join(lines)})
    return list(read_sentence_transformers(folder / "data.jsonl.gz", "gooaq", "Q: ", "D: "))


def _example(query, positive, row_id, negatives=(), label=None):
    sides = tuple(Side("D: ", text) for text in negatives)
    return Example(Side("Q: ", query), Side("D: ", positive), sides, "gooaq", row_id, label=label)


def test_pairs_and_triplets(make_folder):
    assert _read(make_folder, '["a", "b"]', '["a", "p", "n"]', '["a", "p", "n", "m"]') == [
        _example("a", "b", "1"),
        _example("a", "p", "2", ["n"]),
        _example("a", "p", "3", ["n", "m"]),
    ]


def test_a_set_is_chained_and_shares_a_label(make_folder):
    assert _read(make_folder, '{"set": ["a", "b", "a", "c"]}') == [
        _example("a", "b", "1:0", label="1"),
        _example("b", "c", "1:1", label="1"),
    ]


def test_a_query_gives_a_row_for_each_positive(make_folder):
    assert _read(make_folder, '{"query": "q", "pos": ["p", "r"], "neg": ["n"]}', '{"query": "q", "pos": ["p"]}') == [
        _example("q", "p", "1:0", ["n"]),
        _example("q", "r", "1:1", ["n"]),
        _example("q", "p", "2:0"),
    ]


@pytest.mark.parametrize("line", ['["one"]', '["a", 2]', '"text"', '{"query": "q"}', '{"query": 3, "pos": []}', "{}"])
def test_other_forms_are_refused_with_their_line(make_folder, line):
    with pytest.raises(ValueError, match=r"data\.jsonl\.gz, row 2: must be one of"):
        _read(make_folder, '["a", "b"]', line)


@pytest.mark.parametrize(
    "line", ['{"set": [1, 2]}', '{"query": "q", "pos": "p"}', '{"query": "q", "pos": [], "neg": 3}']
)
def test_wrong_types_are_refused_with_their_line(make_folder, line):
    with pytest.raises(ValueError, match=r"row 1: '(set|pos|neg)' must"):
        _read(make_folder, line)
