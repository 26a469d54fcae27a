"""Readers of corpora with queries and judgements: question answering, entities, classic collections, answer reranking.

Queries that have no relevant document are left out, as mteb does; judgements of grade 0 say what absence says already.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from instructor_jax.evaluation.local.files import json_value, locate, member, rows, text_lines
from instructor_jax.evaluation.local.records import Document, JudgedDocuments
from instructor_jax.evaluation.local.smart_files import SmartRecord, smart_records


def read_xquad(folder: Path) -> JudgedDocuments:
    """Reads XQuAD in English: questions to paragraphs. A repeated question (there are five) counts once, as in mteb."""
    path = locate(folder, "xquad.en.json")
    corpus, queries, relevant = {}, {}, {}
    for article in member(json_value(path, dict), "data", list, str(path)):
        for paragraph in member(article, "paragraphs", list, str(path)):
            document = f"d{len(corpus)}"
            corpus[document] = Document(member(paragraph, "context", str, str(path)).strip())
            for question in member(paragraph, "qas", list, str(path)):
                text = member(question, "question", str, str(path)).strip()
                queries[text] = member(question, "id", str, str(path))
                relevant[text] = {document: 1}
    return JudgedDocuments(
        corpus, {number: text for text, number in queries.items()}, {queries[text]: relevant[text] for text in queries}
    )


def read_disfl_qa(folder: Path) -> JudgedDocuments:
    """Reads Disfl-QA's test part: a disfluent question to its fluent form among all fluent forms."""
    path = locate(folder, "test.json")
    documents: dict[str, str] = {}
    queries, relevant = {}, {}
    for number, pair in json_value(path, dict).items():
        fluent = member(pair, "original", str, f"{path}, {number}")
        queries[number] = member(pair, "disfluent", str, f"{path}, {number}")
        relevant[number] = {documents.setdefault(fluent, f"d{len(documents)}"): 1}
    return JudgedDocuments({number: Document(text) for text, number in documents.items()}, queries, relevant)


def read_covid_faq(folder: Path) -> JudgedDocuments:
    """Reads frequent questions to their answers; a question that several bodies answer has several right ones."""
    documents: dict[str, str] = {}
    queries: dict[str, str] = {}
    relevant: dict[str, dict[str, int]] = defaultdict(dict)
    for _, (question, answer) in rows(locate(folder, "faq_covidbert.csv"), ("question", "answer")):
        number = queries.setdefault(question.strip(), f"q{len(queries)}")
        relevant[number][documents.setdefault(answer.strip(), f"d{len(documents)}")] = 1
    corpus = {number: Document(text) for text, number in documents.items()}
    return JudgedDocuments(corpus, {number: text for text, number in queries.items()}, dict(relevant))


def read_beir(folder: Path) -> JudgedDocuments:
    """Reads BEIR's layout: corpus.jsonl, queries.jsonl and qrels/test.tsv with graded judgements."""
    documents = rows(locate(folder, "corpus.jsonl"), ("_id", "title", "text"))
    corpus = {key: Document(text, title) for _, (key, title, text) in documents}
    relevant: dict[str, dict[str, int]] = defaultdict(dict)
    path = locate(folder / "qrels", "test.tsv")
    for number, (query, document, grade) in rows(path, ("query-id", "corpus-id", "score")):
        if not grade.isdecimal():
            raise ValueError(f"{path}, line {number}: score {grade!r} must be a whole number.")
        if int(grade) > 0:
            relevant[query][document] = int(grade)
    texts = rows(locate(folder, "queries.jsonl"), ("_id", "text"))
    queries = {key: text for _, (key, text) in texts if key in relevant}
    return JudgedDocuments(corpus, queries, dict(relevant))


def read_cisi(folder: Path) -> JudgedDocuments:
    """Abstracts of library science; CISI.REL names query and document in its first two columns."""
    corpus = {record.number: Document(record.text, record.title) for record in _smart(locate(folder, "CISI.ALL"))}
    relevant: dict[str, dict[str, int]] = defaultdict(dict)
    for query, document, *_ in _judgements(locate(folder, "CISI.REL")):
        relevant[query][document] = 1
    texts = _smart(locate(folder, "CISI.QRY"))
    queries = {record.number: record.text for record in texts if record.number in relevant}
    return JudgedDocuments(corpus, queries, dict(relevant))


def read_cranfield(folder: Path) -> JudgedDocuments:
    """Abstracts of aerodynamics. Judgements name a query by its place in cran.qry (1 to 225), not by its `.I`.

    The codes 1 to 4 count as relevant alike, because accounts differ on which end is the better; -1 only marks the last
    row of a query. A text that begins with its title, as nearly all do, is not given the title twice.
    """
    corpus = {}
    for record in _smart(locate(folder, "cran.all.1400")):
        opens = record.text.startswith(record.title)
        corpus[record.number] = Document(record.text, "" if opens else record.title)
    relevant: dict[str, dict[str, int]] = defaultdict(dict)
    for query, document, code, *_ in _judgements(locate(folder, "cranqrel")):
        if int(code) > 0:
            relevant[query][document] = 1
    texts = enumerate(_smart(locate(folder, "cran.qry")), start=1)
    queries = {str(place): record.text for place, record in texts if str(place) in relevant}
    return JudgedDocuments(corpus, queries, dict(relevant))


def read_trec_qa(folder: Path) -> JudgedDocuments:
    """Reads TREC QA's test part: each question's candidate sentences; questions with only one class are left out."""
    path = locate(folder, "test.csv")
    groups: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    for number, (question, label, sentence) in rows(path, ("qtext", "label", "atext")):
        if label not in ("0", "1"):
            raise ValueError(f"{path}, line {number}: label {label!r} must be 0 or 1.")
        groups[question].append((sentence, label == "1"))
    corpus, queries, relevant, candidates = {}, {}, {}, {}
    for place, (question, sentences) in enumerate(groups.items()):
        if len({right for _, right in sentences}) == 2:
            query, documents = f"q{place}", [f"q{place}-{number}" for number in range(len(sentences))]
            queries[query], candidates[query] = question, documents
            pairs = list(zip(documents, sentences, strict=True))
            corpus.update((document, Document(text)) for document, (text, _) in pairs)
            relevant[query] = {document: 1 for document, (_, right) in pairs if right}
    return JudgedDocuments(corpus, queries, relevant, candidates)


def _judgements(path: Path) -> list[list[str]]:
    """Yields the columns of a table parted by blanks; blank lines are none, and the first three must be numbers."""
    table = []
    for number, line in enumerate(text_lines(path), start=1):
        columns = line.split()
        if columns and (len(columns) < 3 or not all(column.lstrip("-").isdecimal() for column in columns[:3])):
            raise ValueError(f"{path}, line {number}: must begin with three numbers; got {line!r:.60}.")
        table += [columns] if columns else []
    return table


def _smart(path: Path) -> Iterator[SmartRecord]:
    return smart_records(text_lines(path), path)
