"""MTEB's own tasks with a handful of rows in the place of their data; nothing is downloaded."""

from typing import Any

WORDS = (
    "red",
    "green",
    "blue",
    "cat",
    "dog",
    "bird",
    "runs",
    "eats",
    "fish",
    "stone",
    "river",
    "cloud",
    "house",
    "tree",
    "sea",
)


def sentence(number: int) -> str:
    """A text of three words, another for every number below 3375."""
    return " ".join(WORDS[number // 15**place % 15] for place in range(3))


def toy_task(name: str, dataset: Any) -> Any:
    """A task of MTEB that takes its data for loaded."""
    import mteb

    task = mteb.get_task(name)
    task.dataset = dataset
    task.data_loaded = True
    return task


def sts(name: str = "STSBenchmark", rows: int = 12) -> Any:
    """Pairs with scores."""
    from datasets import Dataset, DatasetDict

    columns = {
        "sentence1": [sentence(7 * row) for row in range(rows)],
        "sentence2": [sentence(11 * row + 3) for row in range(rows)],
        "score": [float(row * 5 % rows) for row in range(rows)],
    }
    return toy_task(name, DatasetDict({"test": Dataset.from_dict(columns)}))


def retrieval_data(documents: int = 40, queries: int = 6, *, ranked: bool = False) -> Any:
    """Documents, some with a title, and queries with two relevant ones each; candidates when `ranked`."""
    from datasets import Dataset

    corpus = {
        "id": [f"d{row}" for row in range(documents)],
        "title": ["" if row % 3 else sentence(row + 100) for row in range(documents)],
        "text": [f" {sentence(13 * row)} " for row in range(documents)],
    }
    asked = {"id": [f"q{row}" for row in range(queries)], "text": [sentence(17 * row + 1) for row in range(queries)]}
    relevant = {f"q{row}": {f"d{2 * row}": 1, f"d{2 * row + 1}": 1} for row in range(queries)}
    candidates = {f"q{row}": [f"d{(2 * row + step) % documents}" for step in range(9)] for row in range(queries)}
    split = {
        "corpus": Dataset.from_dict(corpus),
        "queries": Dataset.from_dict(asked),
        "relevant_docs": relevant,
        "top_ranked": candidates if ranked else None,
    }
    return {"default": {"test": split}}


def clustering(lengths: tuple[int, ...] = (3, 3, 3, 3, 30, 30, 30, 30)) -> Any:
    """One set of texts in two clusters; `lengths` in words."""
    from datasets import Dataset, DatasetDict

    texts = [" ".join(sentence(row + word) for word in range(length // 3)) for row, length in enumerate(lengths)]
    rows = {"sentences": [texts], "labels": [[str(row % 2) for row in range(len(texts))]]}
    return toy_task("TwentyNewsgroupsClustering", DatasetDict({"test": Dataset.from_dict(rows)}))


def summaries(texts: int = 3) -> Any:
    """Texts with two human and four machine summaries."""
    from datasets import Dataset, DatasetDict

    rows = {
        "text": [sentence(row) for row in range(texts)],
        "human_summaries": [[sentence(3 * row), sentence(3 * row + 50)] for row in range(texts)],
        "machine_summaries": [[sentence(5 * row + place + 9) for place in range(4)] for row in range(texts)],
        "relevance": [[1.0, 4.0, 2.0, 3.0 + row / 2] for row in range(texts)],
    }
    return toy_task("SummEval", DatasetDict({"test": Dataset.from_dict(rows)}))
