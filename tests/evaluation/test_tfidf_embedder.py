"""The baseline: scikit-learn's own cosines up to the sketch's noise, weights from the evaluation texts."""

from pathlib import Path

import numpy as np
import pytest

from instructor_jax.evaluation import tfidf_embedder
from instructor_jax.evaluation.embedders import TFIDF, load
from instructor_jax.evaluation.tfidf_embedder import TfidfEmbedder
from instructor_jax.inference.quantization import unit_length
from instructor_jax.text.tfidf import Tfidf

WORDS = [f"{first}{second}" for first in ("ba", "ko", "ri", "tu") for second in ("len", "mar", "sip", "dov", "gan")]


def drawn_texts(count: int) -> list[str]:
    random = np.random.default_rng(0)
    return [" ".join(random.choice(WORDS, 6)) for _ in range(count)]


@pytest.fixture
def baseline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> TfidfEmbedder:
    texts = drawn_texts(200)
    monkeypatch.setattr(tfidf_embedder, "local_texts", lambda data: (("task", text) for text in texts))
    return TfidfEmbedder(tmp_path)


def test_cosines_are_those_of_scikit_learns_tables_up_to_the_sketch(baseline: TfidfEmbedder) -> None:
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = sorted(set(drawn_texts(200)))
    words = TfidfVectorizer(token_pattern=r"\w+|[^\w\s]", ngram_range=(1, 2), sublinear_tf=True)
    grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True)
    table = hstack([words.fit_transform(texts), grams.fit_transform(texts)]).toarray()
    exact, sketched = (unit_length(rows) @ unit_length(rows).T for rows in (table, baseline.encode(texts, "")))
    # standard deviation of a count sketch's inner products: at most sqrt(2 / 4096) = 0.022
    assert np.sqrt(np.mean((exact - sketched) ** 2)) < 0.022


def test_texts_are_encoded_alike_in_any_call_and_under_any_instruction(baseline: TfidfEmbedder) -> None:
    texts = drawn_texts(20)
    whole = baseline.encode(texts, "")
    apart = np.concatenate([baseline.encode(texts[:7], "Represent it: "), baseline.encode(texts[7:], "")])
    np.testing.assert_allclose(whole, apart, atol=1e-6)  # sums in another order


def test_rare_words_count_more() -> None:
    tfidf = Tfidf(dim=10_000).fit(["common rare", "common other", "common third", "common"])
    whole, rare, common = unit_length(tfidf.transform(["common rare", "rare", "common"]))
    assert whole @ rare > whole @ common


def test_its_revision_tells_what_it_was_fitted_to(baseline: TfidfEmbedder) -> None:
    assert baseline.revision == Tfidf(dim=4096).fit(sorted(set(drawn_texts(200)))).digest()
    assert baseline.revision != Tfidf(dim=4096).fit(drawn_texts(100)).digest()


def test_it_needs_the_data() -> None:
    with pytest.raises(ValueError, match="tfidf is fitted to the evaluation texts"):
        load(TFIDF)
