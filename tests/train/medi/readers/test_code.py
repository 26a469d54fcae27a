"""Code, commands and SQL with their descriptions."""

import json

import pytest

from instructor_jax.train.medi.files.records import Row
from instructor_jax.train.medi.readers import code


def test_codenn_undoes_written_newlines_but_not_escapes_of_the_code(make_folder):
    line = "1\t2\tHow to print?\t" + r'print("a\\n")\nreturn' + "\t0\n"
    folder = make_folder({"python/valid.txt.gz": line})
    assert list(code.codenn(folder, "python")) == [Row("How to print?", 'print("a\\\\n")\nreturn', "1:2:1")]


def test_conala(make_folder):
    records = [
        {"intent": "sort a list", "rewritten_intent": "sort list `x`", "snippet": "x.sort()", "question_id": 5},
        {"intent": "stop", "rewritten_intent": None, "snippet": "exit()", "question_id": 6},
    ]
    folder = make_folder({"conala-train.json": json.dumps(records), "conala-test.json": "[]"})
    assert list(code.conala_snippet(folder)) == [
        Row("sort a list", "x.sort()", "train:1"),
        Row("stop", "exit()", "train:2"),
    ]
    assert list(code.conala_rewritten(folder)) == [Row("sort a list", "sort list `x`", "train:1", label="5")]


def test_nl2bash(make_folder):
    folder = make_folder({"all.nl": "list files\nshow files\ncount\n", "all.cm.gz": "ls -l\nls  -l\nwc -l\n"})
    assert list(code.nl2bash_command(folder))[2] == Row("count", "wc -l", "3")
    assert list(code.nl2bash_paraphrase(folder)) == [Row("list files", "show files", "1:0", label="1")]


TAR = """# tar

> Archiving utility.
> See also: `zip`.
> More information: <https://example.org/tar>.

- E[x]tract an archive [v]erbosely:

`tar {{[-xvf|--extract --verbose --file]}} {{path/to/file.tar}}`

- [c]reate an archive:

`tar cf {{target.tar}} {{file1 file2 ...}}`

- Display help:

`tar --help`
"""


def _pages(**more):
    help_page = "# {0}\n\n> Tool {0}.\n\n- Display help:\n\n`{0} --help`\n"
    pages = {f"pages/common/{name}.md": help_page.format(name) for name in ("a", "b", "c")}
    return {"pages_en.tar.gz": {"pages/common/tar.md": TAR} | pages | more}


def test_tldr_command(make_folder):
    # "Display help" stands on four pages, so it is no description of one command; but it stays a negative.
    assert list(code.tldr_command(make_folder(_pages()))) == [
        Row(
            "Extract an archive verbosely",
            "tar --extract --verbose --file path/to/file.tar",
            "common/tar:0",
            ("tar cf target.tar file1 file2 ...", "tar --help"),
        ),
        Row(
            "create an archive",
            "tar cf target.tar file1 file2 ...",
            "common/tar:1",
            ("tar --help", "tar --extract --verbose --file path/to/file.tar"),
        ),
    ]


def test_tldr_page(make_folder):
    first = next(code.tldr_page(make_folder(_pages())))
    assert first.query == "Archiving utility."
    assert first.positive.split("\n")[:2] == [
        "tar",
        "Extract an archive verbosely: tar --extract --verbose --file path/to/file.tar",
    ]


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        ("no title\n", "row 1: a page begins with '# title'"),
        ("# x\n\n> X.\n\n- Do:\n\nx --do\n", "row example 1: not '- text:'"),
        ("# x\n\n> X.\n\n- Do:\n", "row example 1: a description without command"),
    ],
)
def test_tldr_names_broken_pages(make_folder, page, problem):
    with pytest.raises(ValueError, match=rf"bad\.md, {problem}"):
        list(code.tldr_page(make_folder({"pages_en.tar": {"pages/bad.md": page}})))


RECORD = {
    "sentences": [
        {"text": "Where is name0 ?", "variables": {"name0": "Joe's", "city_name0": ""}},
        {"text": "Address of name0 in city_name0", "variables": {"name0": "Ann's", "city_name0": "Rome"}},
        {"text": "Where is name0 ?", "variables": {"name0": "Bob's", "city_name0": ""}},
    ],
    "sql": ['SELECT A WHERE NAME = "name0" AND CITY_NAME = "city_name0"', "other"],
    "variables": [{"name": "name0", "example": "Ed's"}, {"name": "city_name0", "example": "Oslo"}],
}


def test_text2sql(make_folder):
    folder = make_folder({"yelp.json": json.dumps([RECORD])})
    assert list(code.text2sql_question(folder, ("yelp",))) == [
        Row("Where is Bob's ?", "Address of Bob's in Oslo", "yelp:1:0", label="yelp:1")
    ]
    assert list(code.text2sql_query(folder, ("yelp",)))[:2] == [
        Row("Where is Joe's ?", 'SELECT A WHERE NAME = "Joe\'s" AND CITY_NAME = "Oslo"', "yelp:1:0", label="yelp:1"),
        Row(
            "Address of Ann's in Rome",
            'SELECT A WHERE NAME = "Ann\'s" AND CITY_NAME = "Rome"',
            "yelp:1:1",
            label="yelp:1",
        ),
    ]
