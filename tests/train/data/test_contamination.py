import gzip
import json

import pytest

from instructor_jax.train.data.contamination import EvaluationTexts, comparable, hashes_of, read_evaluation_texts


def test_comparable_ignores_case_punctuation_and_space():
    assert comparable("  What's  THIS_thing,\nthen? ") == "whats thisthing then"
    assert comparable("Straße – naïve") == "straße naïve"


def test_finds_whole_texts_of_some_length():
    known = EvaluationTexts(
        [
            ("sts", "A man is playing the guitar."),
            ("sts", "a man is playing the guitar"),
            ("sts", "Two dogs run across the field."),
            ("bank", "A man is playing the guitar!"),
            ("bank", "Too short."),
        ]
    )
    ours = hashes_of(["A MAN is playing the guitar", "too short", "A man is playing the guitar and sings"])
    assert known.find(ours) == {"": 1, "sts": 1, "bank": 1}
    assert known.find(hashes_of(["nothing of this is in the evaluation"])) == {"": 0}
    assert known.found() == {"bank": (1, 1), "sts": (2, 1)}


def test_reads_text_and_json_lines(tmp_path):
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(json.dumps({"text": "three"}).encode()))
    found = list(read_evaluation_texts([tmp_path / "a.txt", tmp_path / "b.jsonl.gz"]))
    assert [(name, text.strip()) for name, text in found] == [("a", "one"), ("a", "two"), ("b", "three")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "x", "must end in .txt or .jsonl"),
        ("a.jsonl", '{"text": "x"}\n{"no": 1}', "line 2: must be a JSON object with the field 'text'"),
        ("a.jsonl", '{"text": 1}', "line 1: 'text' must be a text, is 1"),
    ],
)
def test_wrong_files_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        list(read_evaluation_texts([tmp_path / name]))
