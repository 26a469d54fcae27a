"""Summaries of papers and contracts."""

import json

from instructor_jax.train.medi.files.records import Row
from instructor_jax.train.medi.readers import summaries


def test_scitldr(make_folder):
    record = {"source": ["We do.", "It works.\n"], "title": "Doing", "target": ["They do.", "It is done."]}
    files = {f"SciTLDR-A/{split}.jsonl": "" for split in ("train", "dev")}
    folder = make_folder(files | {"SciTLDR-A/test.jsonl.gz": json.dumps(record)})
    assert list(summaries.scitldr_summary(folder)) == [
        Row("They do.", "We do. It works.", "test:1:0"),
        Row("It is done.", "We do. It works.", "test:1:1"),
    ]
    assert list(summaries.scitldr_title(folder)) == [Row("Doing", "We do. It works.", "test:1")]


def test_legal_summarization(make_folder):
    record = {"original_text": "you agree to all.", "reference_summary": "you agree."}
    folder = make_folder({"tldrlegal_v1.json": json.dumps({"l1": record}), "tosdr_annotated_v1.json": "{}"})
    assert list(summaries.legal_summarization(folder)) == [Row("you agree.", "you agree to all.", "l1")]
