"""Readers of texts to be clustered: news titles, search snippets, question titles, web services, assistant requests.

mteb's clustering scores are means over several sets; the sets are made here by fixed seeded splits.
"""

import re
from pathlib import Path

from instructor_jax.evaluation.local.files import aligned_lines, locate, rows, text_lines
from instructor_jax.evaluation.local.records import ClusterSets, LabelledTexts
from instructor_jax.evaluation.local.splits import sets_of_classes, sets_of_rows

# A table row of the list of web services; some begin with a bar and some do not: [name](link) | description | ...
_SERVICE = re.compile(r"^\|?\s*\[.*?\]\(.*?\)\s*\|(?P<description>[^|]*)\|")


def read_ag_news(folder: Path) -> ClusterSets:
    """News titles by topic (4), in ten sets; descriptions are left out, as in TwentyNewsgroupsClustering."""
    records = [values for _, values in rows(locate(folder, "test.csv"), ("2", "1"), header=False)]
    return sets_of_rows(_labelled(records), 10)


def read_search_snippets(folder: Path) -> ClusterSets:
    """Reads word lists of web search results by domain (8), in ten sets."""
    path = locate(folder, "search_snippets_true_text")
    records = [values for _, values in rows(path, ("2", "1"), format="tsv", header=False, quotes=False)]
    return sets_of_rows(_labelled(records), 10)


def read_stackoverflow_titles(folder: Path) -> ClusterSets:
    """Titles of Stack Overflow questions by tag (20), in ten sets."""
    return sets_of_rows(_labelled(aligned_lines(folder, "title_StackOverflow.txt", "label_StackOverflow.txt")), 10)


def read_public_apis(folder: Path) -> ClusterSets:
    """Descriptions of web services by category (about 50), in four sets; read from the tables under `###` headings."""
    category, records = "", []
    for line in text_lines(locate(folder, "public-apis.md")):
        if line.startswith("#"):
            category = line.removeprefix("###").strip() if line.startswith("### ") else ""
        elif category and (service := _SERVICE.match(line)) and service["description"].strip():
            records.append((service["description"].strip(), category))
    return sets_of_classes(_labelled(records), 4)


def _labelled(records: list[tuple[str, ...]]) -> LabelledTexts:
    return LabelledTexts([record[0] for record in records], [record[1] for record in records])
