"""Texts to cluster, in the files' own formats."""

import json

from instructor_jax.evaluation.local.clinc150 import read_clinc150_clusters
from instructor_jax.evaluation.local.clustering import (
    read_ag_news,
    read_public_apis,
    read_search_snippets,
    read_stackoverflow_titles,
)

SERVICES = """\
### What is covered
- [IPstack](https://a.b)
## Advertised
| [Paid](https://a.b) | Not of the list | [<img>](x) |
### Animals
API | Description | Auth | HTTPS | CORS
|:---|:---|:---|:---|:---|
| [Cats](https://a.b/c_(d)) | Pictures of cats | No | Yes | No |
[Dogs](https://a.b) | Pictures of dogs | `apiKey` | Yes | Yes |
**[Back](#index)**
### Art & Design
| [Paint](https://a.b) | Colours | No | Yes | No |
### Books
| [Read](https://a.b) | Novels | No | Yes | No |
### Cars
| [Drive](https://a.b) | Engines | No | Yes | No |
"""


def contents(record):
    return {pair for part in record.sets for pair in zip(part.texts, part.labels, strict=True)}


def test_services_are_the_rows_of_the_tables_under_category_headings(tmp_path):
    (tmp_path / "public-apis.md").write_text(SERVICES)
    assert contents(read_public_apis(tmp_path)) == {
        ("Pictures of cats", "Animals"),
        ("Pictures of dogs", "Animals"),
        ("Colours", "Art & Design"),
        ("Novels", "Books"),
        ("Engines", "Cars"),
    }


def test_titles_snippets_and_news_with_their_labels(tmp_path):
    news = "".join(f'"{n % 4 + 1}","Title, {n}","Description {n}"\n' for n in range(20))
    (tmp_path / "test.csv").write_text(news)
    (tmp_path / "search_snippets_true_text").write_text("".join(f'{n % 8}\tword "{n}\n' for n in range(20)))
    (tmp_path / "title_StackOverflow.txt").write_text("".join(f"How {n}?\n" for n in range(20)))
    (tmp_path / "label_StackOverflow.txt").write_text("".join(f"{n % 5}\n" for n in range(20)))
    assert contents(read_ag_news(tmp_path)) == {(f"Title, {n}", str(n % 4 + 1)) for n in range(20)}
    assert contents(read_search_snippets(tmp_path)) == {(f'word "{n}', str(n % 8)) for n in range(20)}
    assert contents(read_stackoverflow_titles(tmp_path)) == {(f"How {n}?", str(n % 5)) for n in range(20)}
    assert len(read_stackoverflow_titles(tmp_path).sets) == 10


def test_intents_are_clustered_on_their_test_requests(tmp_path):
    test = [[f"text {n}", f"intent {n % 10}"] for n in range(40)]
    (tmp_path / "data_full.json").write_text(json.dumps({"train": [["a", "intent 0"]], "test": test}))
    sets = read_clinc150_clusters(tmp_path).sets
    assert [(len(part.texts), len(set(part.labels))) for part in sets] == [(8, 2)] * 5
