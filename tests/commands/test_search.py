"""`instructor-jax search` with a stand-in for the model: what is found, how it is shown, what is refused."""

import html.parser
import json

import numpy as np
import pytest

CORPUS = ["the cat sat", "a dog ran", "<b>dog</b> & cat", "", "cat cat cat", "stocks fell"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus.txt").write_text("".join(text + "\n" for text in CORPUS))
    return tmp_path


def found(capsys) -> list[list[dict]]:
    return [result["hits"] for result in json.loads(capsys.readouterr().out)["results"]]


def test_hits_are_the_nearest_rows(folder, run, fake, capsys):
    run(
        *[
            "search",
            "corpus.txt",
            "-q",
            "cat",
            "-k",
            "3",
            "-m",
            "fake",
            "--json",
            "--query-instruction",
            "Q",
            "--corpus-instruction",
            "C",
        ]
    )
    [hits] = found(capsys)
    scores = np.array([fake.vector("fake", "Q", "cat") @ fake.vector("fake", "C", text) for text in CORPUS])
    expected = np.argsort(-scores)[:3]
    assert [hit["row"] for hit in hits] == expected.tolist()
    assert [hit["text"] for hit in hits] == [CORPUS[row] for row in expected]
    assert [hit["rank"] for hit in hits] == [1, 2, 3]
    np.testing.assert_allclose([hit["score"] for hit in hits], scores[expected], atol=1e-6)  # six digits are printed


def test_queries_of_options_and_file_in_this_order(folder, run, capsys):
    (folder / "queries.csv").write_text("number,wanted\n1,stocks\n2,cat\n")
    run(
        "search",
        "corpus.txt",
        "queries.csv",
        "--query-column",
        "wanted",
        "-q",
        "dog ran",
        "-k",
        1,
        "-m",
        "fake",
        "--json",
    )
    assert [hits[0]["row"] for hits in found(capsys)] == [1, 5, 4]


def test_vectors_made_by_encode_give_the_same_hits(folder, run, capsys):
    run("search", "corpus.txt", "-q", "cat", "-m", "fake", "--corpus-instruction", "C", "--json")
    expected = found(capsys)
    run("encode", "corpus.txt", "-o", "v.npy", "-m", "fake", "-i", "C")
    capsys.readouterr()
    run("search", "corpus.txt", "-q", "cat", "-m", "fake", "--corpus-vectors", "v.npy", "--json")
    for one, other in zip(expected[0], found(capsys)[0], strict=True):
        assert (one["row"], one["text"]) == (other["row"], other["text"])
        assert one["score"] == pytest.approx(other["score"], abs=3e-5)  # the stand-in's last bits differ by the call


def test_ids_are_shown(folder, run, capsys):
    (folder / "corpus.jsonl").write_text('{"id": "doc-7", "text": "a cat"}\n{"id": 8, "text": "a dog"}\n')
    run("search", "corpus.jsonl", "-q", "cat", "-m", "fake")
    query, first, second = capsys.readouterr().out.splitlines()
    assert query == "cat"
    assert first.split()[2:] == ["doc-7", "a", "cat"]
    assert second.split()[2:] == ["8", "a", "dog"]


class Texts(html.parser.HTMLParser):
    """Collects the texts and tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.texts, self.tags = [], set()

    def handle_data(self, data):
        self.texts.append(data)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)


def test_the_page_shows_texts_and_obeys_none(folder, run):
    query = "<script>alert('dog')</script>"
    run("search", "corpus.txt", "-q", query, "-m", "fake", "--html", "found.html")
    page = (folder / "found.html").read_text()
    reader = Texts()
    reader.feed(page)
    assert {query, "<b>dog</b> & cat"} <= set(reader.texts)
    assert not reader.tags & {"script", "b", "link", "img"}
    assert "http" not in page.replace("http-equiv", "")  # nothing from elsewhere


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-m", "fake"], "nothing to search for"),
        (["-q", "cat", "-m", "fake", "-k", "0"], "--top-k 0 must be at least 1"),
        (["empty.txt", "-m", "fake"], "empty.txt: holds no queries"),
        (
            ["-q", "cat", "-m", "fake", "--corpus-vectors", "short.npy"],
            "holds 2 vectors, the corpus has at least 6 rows",
        ),
        (
            ["-q", "cat", "-m", "fake", "--corpus-vectors", "narrow.npy"],
            "corpus vectors have 3 dimensions, query vectors 24",
        ),
        (["-q", "cat", "-m", "fake", "--corpus-vectors", "int8.npy"], "must hold float32 vectors"),
        (
            ["-q", "c", "-m", "fake", "--corpus-vectors", "short.npy", "--corpus-instruction", "C"],
            "leave --corpus-instruction",
        ),
    ],
)
def test_errors(arguments, says, folder, fails):
    (folder / "empty.txt").write_text("")
    np.save("short.npy", np.ones((2, 24), dtype=np.float32))
    np.save("narrow.npy", np.ones((6, 3), dtype=np.float32))
    np.save("int8.npy", np.ones((6, 24), dtype=np.int8))
    assert says in fails("search", "corpus.txt", *arguments)


def test_an_empty_corpus_is_an_error(folder, fails):
    (folder / "none.txt").write_text("")
    assert "none.txt: holds no rows" in fails("search", "none.txt", "-q", "cat", "-m", "fake")


def test_vectors_of_another_model_are_used_with_a_warning(folder, run, capsys, caplog):
    run("encode", "corpus.txt", "-o", "v.npy", "-m", "other")
    run("search", "corpus.txt", "-q", "cat", "-m", "fake", "--corpus-vectors", "v.npy")
    assert "v.npy was made by other, the queries are encoded by fake" in caplog.text
