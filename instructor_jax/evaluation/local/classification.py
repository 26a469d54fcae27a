"""Readers of labelled texts for classification: requests by intent, reviews and tweets by sentiment, tone or emotion.

Where a set has train and test parts they are kept; validation parts are not used. Where it has none, a fixed seeded
split makes them.
"""

from pathlib import Path

from instructor_jax.evaluation.local.files import aligned_lines, json_value, locate, member, rows, text_lines
from instructor_jax.evaluation.local.records import LabelledTexts, TrainTest
from instructor_jax.evaluation.local.splits import train_test


def read_banking77(folder: Path) -> TrainTest:
    """Reads customer requests to a bank; 77 intents."""
    return TrainTest(*(_table(locate(folder, f"{part}.csv"), "text", "category") for part in ("train", "test")))


def read_amazon_counterfactual(folder: Path) -> TrainTest:
    """Reads English review sentences, counterfactual (1) or not (0); the files quote like CSV, but with tabs."""
    parts = (locate(folder, f"EN_{part}.tsv") for part in ("train", "test"))
    return TrainTest(*(_table(path, "sentence", "is_counterfactual") for path in parts))


def read_tweeteval(folder: Path) -> TrainTest:
    """Reads a TweetEval task: texts and class numbers in aligned files."""
    parts = []
    for part in ("train", "test"):
        texts, labels = zip(*aligned_lines(folder, f"{part}_text.txt", f"{part}_labels.txt"), strict=True)
        parts.append(LabelledTexts(texts, labels))
    return TrainTest(*parts)


def read_davidson(folder: Path) -> TrainTest:
    """Tweets as hate (0), offensive (1) or neither (2), without a split; a fifth of them is for testing."""
    return train_test(_table(locate(folder, "labeled_data.csv"), "tweet", "class"), test_share=0.2)


def read_opinions(folder: Path, positive: str, negative: str) -> TrainTest:
    """Reads SentEval's opinions: Latin-1 files of positive and of negative lines, without a split; half is tested."""
    texts, labels = [], []
    for name, label in ((positive, "positive"), (negative, "negative")):
        lines = text_lines(locate(folder, name), "latin-1")
        texts += lines
        labels += [label] * len(lines)
    return train_test(LabelledTexts(texts, labels), test_share=0.5)


def read_nlu_corpus(folder: Path, corpus: str) -> TrainTest:
    """Reads one of the NLU evaluation corpora: few questions, some intents with one or two training questions."""
    path = locate(folder, f"{corpus}Corpus.json")
    train, test = [], []
    for number, sentence in enumerate(member(json_value(path, dict), "sentences", list, str(path))):
        place = f"{path}, sentence {number}"
        row = member(sentence, "text", str, place), member(sentence, "intent", str, place)
        (train if member(sentence, "training", bool, place) else test).append(row)
    return TrainTest(*(LabelledTexts(*zip(*part, strict=True)) for part in (train, test)))


def _table(path: Path, text: str, label: str) -> LabelledTexts:
    records = [values for _, values in rows(path, (text, label))]
    return LabelledTexts([values[0] for values in records], [values[1] for values in records])
