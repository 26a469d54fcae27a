"""Documents become rows of heading and section, with the next section as the negative."""

import pytest

from instructor_jax.train.medi.files.records import Row
from instructor_jax.train.medi.readers import documents

LONG = "word " * 15
PAGE = f"# Ownership\n\none {LONG}\n\n## Moves\n\ntwo {LONG}\n\n## Stub\n\nshort\n\n## References\n\nthree {LONG}\n"
ONE, TWO = f"one {LONG}".strip(), f"two {LONG}".strip()


def test_rust_book_and_owasp(make_folder):
    expected = [Row("Ownership", ONE, "ch04:0", (TWO,)), Row("Ownership: Moves", TWO, "ch04:1", (ONE,))]
    summary = f"# Summary\n\nnot content {LONG}\n"
    book = make_folder({"rust_book_src.tar.gz": {"src/SUMMARY.md": summary, "src/ch04.md": PAGE}})
    assert list(documents.rust_book(book)) == expected
    sheets = make_folder({"cheatsheets.tar": {"cheatsheets/ch04.md": PAGE}})
    assert list(documents.owasp_cheatsheets(sheets)) == expected


def test_sections_of_one_title_are_not_each_others_negatives(make_folder):
    page = f"# Guide\n\n{LONG}\n\n## Do\n\none {LONG}\n\n## Do\n\ntwo {LONG}\n"
    rows = list(documents.owasp_cheatsheets(make_folder({"cheatsheets.tar": {"g.md": page}})))
    assert [row.negatives for row in rows[1:]] == [(LONG.strip(),), (LONG.strip(),)]


PEP = f"""PEP: 1
Title: A long
       title
Status: Final

Abstract
========

one {LONG}

Rationale
---------

two {LONG}

Copyright
=========

three {LONG}
"""


def test_peps(make_folder):
    folder = make_folder({"peps.tar.gz": {"peps/pep-0001.rst": PEP}})
    assert list(documents.peps_abstract(folder)) == [Row("A long title", ONE, "pep-0001")]
    assert list(documents.peps_section(folder)) == [
        Row("A long title: Abstract", ONE, "pep-0001:0", (TWO,)),
        Row("A long title: Rationale", TWO, "pep-0001:1", (ONE,)),
    ]


def test_a_proposal_needs_a_title(make_folder):
    with pytest.raises(ValueError, match=r"pep-0002\.rst, row 1 \(header\): needs a Title|pep-0002\.rst, row 1"):
        list(documents.peps_abstract(make_folder({"peps.tar": {"peps/pep-0002.rst": "PEP: 2\n\nBody\n"}})))
