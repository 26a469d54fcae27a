"""What small vectors cost: retrieval on local evaluation sets with vectors of every precision and of fewer dimensions.

    python benchmarks/small_vectors.py data/raw --sets XQuADRetrieval CranfieldRetrievalLocal [--model MODEL]

Texts are encoded once; the vectors are cut and rounded by the library's own functions, as `encode` does at its end.
Queries are kept in float32 but for bits, which are compared with bits. int8's ranges are those of the other sets'
documents, as they would be computed once and kept with a model. The score is nDCG@10 with every relevance above 0
counted as 1, and ties broken by the order of the corpus.
"""

import argparse
from pathlib import Path

import numpy as np

from instructor_jax import Instructor
from instructor_jax.evaluation.local.records import JudgedDocuments
from instructor_jax.evaluation.local.sources import SOURCES
from instructor_jax.inference.quantization import Precision, quantize, ranges_of, truncate
from instructor_jax.io.default_model import DEFAULT_MODEL
from instructor_jax.markdown import table

PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "int8", "ubinary")


def main() -> None:
    parser = argparse.ArgumentParser(description="What small vectors cost in retrieval.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", required=True)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--dims", type=int, nargs="+", default=[0, 256, 128, 64], help="0 keeps all")
    arguments = parser.parse_args()
    model = Instructor.from_pretrained(arguments.model)
    read, encoded = {}, {}
    for source in SOURCES:
        if source.task in arguments.sets:
            judged = source.read(arguments.data / source.folder)
            assert isinstance(judged, JudgedDocuments)
            read[source.task] = judged
            query, document = str(source.query), str(source.document)
            documents = [f"{text.title} {text.text}".strip() for text in judged.corpus.values()]
            encoded[source.task] = (
                model.encode(list(judged.queries.values()), instruction=query, show_progress_bar=False),
                model.encode(documents, instruction=document, show_progress_bar=False),
            )
            print(f"{source.task}: {len(judged.queries):,} queries, {len(documents):,} documents", flush=True)
    if absent := set(arguments.sets) - set(read):
        raise SystemExit(f"no local retrieval set is called {', '.join(sorted(absent))}")
    rows = []
    for dim in arguments.dims:
        for precision in PRECISIONS:
            scores = [score(name, read[name], encoded, dim, precision) for name in read]
            width = dim or encoded[next(iter(read))][1].shape[1]
            size = {"float32": 4 * width, "float16": 2 * width, "int8": width, "ubinary": width // 8}[precision]
            rows.append([str(width), precision, f"{size:,}", *(f"{s:.4f}" for s in scores), f"{np.mean(scores):.4f}"])
    print(table(["dimensions", "precision", "bytes", *read, "mean"], rows))


def score(name: str, judged: JudgedDocuments, encoded: dict, dim: int, precision: Precision) -> float:
    """nDCG@10 of one set, its documents in a precision and cut to some dimensions."""
    queries, documents = (truncate(vectors, dim or None) for vectors in encoded[name])
    if precision == "ubinary":
        packed = [quantize(vectors, "ubinary", None) for vectors in (queries, documents)]
        signs = [np.unpackbits(bits, axis=1).astype(np.float32) * 2 - 1 for bits in packed]
        similar = signs[0] @ signs[1].T  # the dimensions that agree, minus those that differ
    elif precision == "int8":
        others = [truncate(vectors[1], dim or None) for other, vectors in encoded.items() if other != name]
        ranges = ranges_of(np.concatenate(others))
        steps = (ranges[1] - ranges[0]) / 255
        kept = quantize(documents, "int8", ranges).astype(np.float32)
        similar = queries @ ((kept + 128.5) * steps + ranges[0]).T  # the middle of each step
    else:
        similar = queries @ quantize(documents, precision, None).astype(np.float32).T
    names = list(judged.corpus)
    gains = []
    for row, query in enumerate(judged.queries):
        best = np.argsort(-similar[row], kind="stable")[:10]
        relevant = {document for document, degree in judged.relevant[query].items() if degree > 0}
        found = sum(1 / np.log2(rank + 2) for rank, place in enumerate(best) if names[place] in relevant)
        gains.append(found / sum(1 / np.log2(rank + 2) for rank in range(min(len(relevant), 10))))
    return float(np.mean(gains))


if __name__ == "__main__":
    main()
