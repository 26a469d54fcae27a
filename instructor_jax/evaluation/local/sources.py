"""The evaluation sets that run from local files: for each task its folder, how it is read, and its instructions.

A task that equals one of mteb's (same texts, same judgements) carries that name and runs in mteb's own class; every
other is named "...Local" and runs in the mteb class of its kind, so that no score is mistaken for a published one.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from instructor_jax.evaluation.local import classification, clustering, pairs, retrieval
from instructor_jax.evaluation.local.records import Record
from instructor_jax.text.instructions import Instruction

Kind = Literal["STS", "PairClassification", "Classification", "Clustering", "Retrieval", "Reranking"]


@dataclasses.dataclass(frozen=True)
class LocalSource:
    """One task on local files.

    Attributes:
        task: its name, unique.
        folder: the sub-folder of the data folder that holds its files.
        kind: mteb's type of task.
        query: instruction of the query side, and of all texts of a symmetric task.
        document: instruction of the document side; equals `query` for a symmetric task.
        read: takes the folder, gives the record of this kind; raises ValueError for files that are not as expected.
        mteb: the task of mteb that it equals, or None.
        note: what one should know when comparing its score.
        split, subset: mteb's names of the part that is evaluated.
        samples_per_label: classification: on how many texts of each class a classifier is fitted (mteb's default: 8).
    """

    task: str
    folder: str
    kind: Kind
    query: Instruction
    document: Instruction
    read: Callable[[Path], Record]
    mteb: str | None
    note: str
    split: str = "test"
    subset: str = "default"
    samples_per_label: int = 8

    def __post_init__(self) -> None:
        if (self.mteb is None) != self.task.endswith("Local"):
            raise ValueError(f"{self.task}: only a task that is none of mteb's has a name that ends in 'Local'.")
        if self.kind not in ("Retrieval", "Reranking") and self.query != self.document:
            raise ValueError(f"{self.task}: {self.kind} has one kind of text; query and document must be the same.")


def _source(
    task: str,
    folder: str,
    kind: Kind,
    triple: tuple[str, str, str],
    read: Callable[[Path], Record],
    note: str,
    *,
    document: tuple[str, str, str] | None = None,
    **options: Any,
) -> LocalSource:
    """A source whose texts are all of one kind unless `document` is given; a name without "Local" is mteb's."""
    mteb = None if task.endswith("Local") else task
    query, other = Instruction(*triple), Instruction(*(document or triple))
    return LocalSource(task, folder, kind, query, other, read, mteb, note, **options)


_STS = ("general", "sentence", "judging semantic similarity")
_STS_NOTE = "SemEval's own texts; mteb's copy of the same pairs and scores is split at punctuation marks"

_SENTENCE_PAIRS = (
    _source(
        "STSBenchmark",
        "eval_stsbenchmark",
        "STS",
        _STS,
        pairs.read_sts_benchmark,
        "pairs and scores as mteb's; a few characters differ",
    ),
    *(
        _source(
            f"STS{year - 2000}",
            "eval_sts12_16",
            "STS",
            _STS,
            functools.partial(pairs.read_sts_year, year=year),
            _STS_NOTE,
        )
        for year in range(2012, 2017)
    ),
    _source(
        "MsrParaphrasePairsLocal",
        "eval_msr_paraphrase",
        "PairClassification",
        ("news", "sentence", "deciding whether two sentences are paraphrases"),
        pairs.read_msr_paraphrase,
        "MSR paraphrase corpus, test part",
    ),
    _source(
        "CovidQuestionPairsLocal",
        "eval_covid_faq",
        "PairClassification",
        ("medicine", "question", "retrieving a duplicate question"),
        pairs.read_covid_pairs,
        "questions on COVID-19 that ask the same or not",
    ),
)

_CLASSIFICATION = (
    _source(
        "Banking77Classification",
        "eval_banking77",
        "Classification",
        ("banking", "customer request", "classifying the intent"),
        classification.read_banking77,
        "the authors' CSV files; the same texts as mteb's",
    ),
    _source(
        "AmazonCounterfactualClassification",
        "eval_amazon_counterfactual",
        "Classification",
        ("Amazon reviews", "sentence", "classifying it as counterfactual or not"),
        classification.read_amazon_counterfactual,
        "English only; the same texts as mteb's",
        subset="en",
    ),
    _source(
        "Clinc150ClassificationLocal",
        "eval_clinc150",
        "Classification",
        ("dialogue", "request", "classifying the intent"),
        classification.read_clinc150,
        "150 intents, without the requests out of scope",
    ),
    _source(
        "CustomerReviewsClassificationLocal",
        "eval_customer_reviews_cr",
        "Classification",
        ("product reviews", "sentence", "classifying the sentiment"),
        functools.partial(classification.read_opinions, positive="custrev.pos", negative="custrev.neg"),
        "SentEval's CR; a seeded half is for testing, where SentEval cross-validates",
    ),
    _source(
        "MpqaClassificationLocal",
        "eval_mpqa",
        "Classification",
        ("news", "phrase", "classifying the opinion polarity"),
        functools.partial(classification.read_opinions, positive="mpqa.pos", negative="mpqa.neg"),
        "SentEval's MPQA; a seeded half is for testing, where SentEval cross-validates",
    ),
    _source(
        "DavidsonToxicityClassificationLocal",
        "eval_davidson_toxicity",
        "Classification",
        ("Twitter", "tweet", "classifying toxic language"),
        classification.read_davidson,
        "a seeded fifth is for testing; samples per class as in ToxicConversationsClassification",
        samples_per_label=16,
    ),
    _source(
        "TweetEvalEmotionClassificationLocal",
        "eval_tweeteval_emotion",
        "Classification",
        ("Twitter", "tweet", "classifying the emotion"),
        classification.read_tweeteval,
        "four emotions; samples per class as in EmotionClassification",
        samples_per_label=16,
    ),
    *(
        _source(
            f"TweetEval{name}ClassificationLocal",
            f"eval_tweeteval_{name.lower()}",
            "Classification",
            ("Twitter", "tweet", objective),
            classification.read_tweeteval,
            "accuracy, where TweetEval reports F1; samples per class as in TweetSentimentExtractionClassification",
            samples_per_label=32,
        )
        for name, objective in (("Hate", "classifying hate speech"), ("Irony", "classifying irony"))
    ),
    *(
        _source(
            f"Nlu{corpus}ClassificationLocal",
            "eval_nlu_corpora",
            "Classification",
            (domain, "question", "classifying the intent"),
            functools.partial(classification.read_nlu_corpus, corpus=corpus),
            note,
        )
        for corpus, domain, note in (
            ("AskUbuntu", "software help", "5 intents, 109 test questions: 0.9 points each"),
            ("Chatbot", "public transport", "2 intents, 106 test questions: 0.9 points each"),
            ("WebApplications", "software help", "8 intents, 59 test questions: 1.7 points each"),
        )
    ),
)

_CLUSTERING = (
    _source(
        "AgNewsClusteringLocal",
        "eval_ag_news",
        "Clustering",
        ("news", "article title", "identifying the topic"),
        clustering.read_ag_news,
        "titles of the test part, 4 topics, ten sets of 760",
    ),
    _source(
        "SearchSnippetsClusteringLocal",
        "eval_search_snippets",
        "Clustering",
        ("web", "search snippet", "identifying the topic"),
        clustering.read_search_snippets,
        "8 domains, ten sets of 1,234",
    ),
    _source(
        "StackOverflowTitlesClusteringLocal",
        "eval_stackoverflow_titles",
        "Clustering",
        ("Stack Overflow", "question title", "identifying the topic"),
        clustering.read_stackoverflow_titles,
        "20 tags, ten sets of 2,000",
    ),
    _source(
        "PublicApisClusteringLocal",
        "eval_public_apis",
        "Clustering",
        ("software", "API description", "identifying the category"),
        clustering.read_public_apis,
        "four sets of a quarter of the categories each",
    ),
    _source(
        "Clinc150ClusteringLocal",
        "eval_clinc150",
        "Clustering",
        ("dialogue", "request", "identifying the intent"),
        clustering.read_clinc150_clusters,
        "test part, five sets of 30 intents each",
    ),
)

_RETRIEVAL = (
    _source(
        "XQuADRetrieval",
        "eval_xquad_en",
        "Retrieval",
        ("Wikipedia", "question", "retrieving the paragraph"),
        retrieval.read_xquad,
        "English only; the same questions and paragraphs as mteb's",
        document=("Wikipedia", "paragraph", "retrieval"),
        split="validation",
        subset="en",
    ),
    _source(
        "DBPediaPartRetrievalLocal",
        "eval_dbpedia_entity_sub",
        "Retrieval",
        ("Wikipedia", "entity query", "retrieving entity descriptions"),
        retrieval.read_beir,
        "5,000 of DBPedia-Entity's 4.6 million documents: far easier than mteb's DBPedia",
        document=("Wikipedia", "entity description", "retrieval"),
    ),
    _source(
        "DisflQaRetrievalLocal",
        "eval_disfl_qa",
        "Retrieval",
        ("Wikipedia", "disfluent question", "retrieving its fluent form"),
        retrieval.read_disfl_qa,
        "test part; one relevant question each",
        document=("Wikipedia", "question", "retrieval"),
    ),
    _source(
        "CovidFaqRetrievalLocal",
        "eval_covid_faq",
        "Retrieval",
        ("medicine", "question", "retrieving the answer"),
        retrieval.read_covid_faq,
        "small: every answer is one of about 200",
        document=("medicine", "answer", "retrieval"),
    ),
    _source(
        "CisiRetrievalLocal",
        "eval_cisi",
        "Retrieval",
        ("library science", "question", "retrieving relevant abstracts"),
        retrieval.read_cisi,
        "the judged queries only; many relevant documents each",
        document=("library science", "abstract", "retrieval"),
    ),
    _source(
        "CranfieldRetrievalLocal",
        "eval_cranfield",
        "Retrieval",
        ("aerodynamics", "question", "retrieving relevant abstracts"),
        retrieval.read_cranfield,
        "all positive codes count as relevant alike; a few abstracts of this copy are damaged",
        document=("aerodynamics", "abstract", "retrieval"),
    ),
    _source(
        "TrecQaRerankingLocal",
        "eval_trec_qa",
        "Reranking",
        ("news", "question", "retrieving the sentence that answers it"),
        retrieval.read_trec_qa,
        "test part; the questions that have right and wrong candidates",
        document=("news", "sentence", "retrieval"),
    ),
)

SOURCES: tuple[LocalSource, ...] = (*_SENTENCE_PAIRS, *_CLASSIFICATION, *_CLUSTERING, *_RETRIEVAL)
