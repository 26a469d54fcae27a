"""Which column is which, what a block of rows is, and how a row that cannot be used is reported."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instructor_jax.commands.table_options import InputOptions
from instructor_jax.commands.text_blocks import TextBlock, TextRow, text_blocks
from instructor_jax.commands.text_files import read_texts


def read(path, *, own_instructions=True, **options):
    chosen = InputOptions(**options)
    with chosen.open(path) as table:
        return list(read_texts(table, chosen, own_instructions=own_instructions))


def jsonl(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_usual_names_are_found(tmp_path):
    path = jsonl(tmp_path / "t.jsonl", {"_id": 7, "title": "x", "text": "a", "instruction": "i"})
    assert read(path) == [TextRow("x a", "i", "7")]
    assert read(path, own_instructions=False) == [TextRow("x a", None, "7")]


def test_options_name_the_columns(tmp_path):
    path = jsonl(tmp_path / "t.jsonl", {"text": "a", "title": "b", "how": "c", "key": "d"})
    assert read(path, text_column="title", instruction_column="how", id_column="key") == [TextRow("b", "c", "d")]
    assert read(path, text_column="title", id_column="title") == [TextRow("b", None, "b")]


def test_the_only_column_left_is_the_text(tmp_path):
    assert read(jsonl(tmp_path / "t.jsonl", {"id": "1", "headline": "a"})) == [TextRow("a", None, "1")]


@pytest.mark.parametrize(
    ("row", "options", "says"),
    [
        ({"a": "x", "b": "y"}, {}, r"which column holds the texts\? .*--text-column: a, b"),
        ({"text": "x"}, {"text_column": "body"}, r"has no column 'body'; its columns: text"),
        ({"text": "x"}, {"id_column": "key"}, r"has no column 'key'"),
        ({"text": None}, {}, r"line 1: column 'text' must hold text, got nothing"),
        ({"text": 3}, {}, r"line 1: column 'text' must hold text, got '3' of type int"),
        ({"text": "x", "id": 1.5}, {}, r"column 'id' must hold text, got '1.5' of type float"),
        ({"text": "x", "id": True}, {}, r"column 'id' must hold text"),
        ({"text": "x", "instruction": ["i"]}, {}, r"column 'instruction' must hold text"),
    ],
)
def test_rows_that_cannot_be_used(row, options, says, tmp_path):
    with pytest.raises(ValueError, match=says):
        read(jsonl(tmp_path / "t.jsonl", row), **options)


@given(st.lists(st.text(max_size=3), max_size=20), st.integers(1, 7))
def test_blocks_are_a_fixed_function_of_the_row_number(texts, size):
    blocks = list(text_blocks((TextRow(text, None, str(k)) for k, text in enumerate(texts)), size))
    assert [text for block in blocks for text in block.texts] == texts
    assert [block.index for block in blocks] == list(range(len(blocks)))
    assert all(block.first_row == block.index * size and len(block.texts) <= size for block in blocks)
    assert all(len(block.texts) == size for block in blocks[:-1])
    assert [name for block in blocks for name in block.ids or []] == [str(k) for k in range(len(texts))]


def test_part_size_must_be_positive():
    with pytest.raises(ValueError, match="part size=0 must be at least 1"):
        next(text_blocks([TextRow("a", None, None)], 0))


def test_sentences_are_pairs_only_where_rows_have_instructions():
    assert TextBlock(0, 0, ["a"], None, None).sentences() == ["a"]
    assert TextBlock(0, 0, ["a"], ["i"], None).sentences() == [["i", "a"]]


def test_digests_tell_blocks_apart():
    blocks = [
        TextBlock(0, 0, texts, instructions, ids)
        for texts in (["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""])
        for instructions in (None, ["i"], ["i", ""])
        for ids in (None, ["i"], ["i", ""], [""])
    ]
    assert len({block.digest() for block in blocks}) == len(blocks)
    # Frozen: parts that were made by another version must still be recognised.
    assert TextBlock(3, 9, ["ä", "c"], None, ["1", "2"]).digest() == "31b88800f9e52d9e5b9b38f82085dd22"
