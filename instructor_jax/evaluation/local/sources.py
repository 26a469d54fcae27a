"""The evaluation sets that run from local files: for each task its folder, how it is read, and its instructions."""

import functools

from instructor_jax.evaluation.local import classification, clinc150, clustering, pairs, retrieval
from instructor_jax.evaluation.local.source import LocalSource
from instructor_jax.text.instructions import Instruction as To

_STS = (To("general", "sentence", "judging semantic similarity"),)
_STS_NOTE = "SemEval's own texts; mteb's copy of the same pairs and scores is split at punctuation marks"

_SENTENCE_PAIRS = (
    LocalSource(
        "STSBenchmark",
        "eval_stsbenchmark",
        "STS",
        _STS,
        pairs.read_sts_benchmark,
        "pairs and scores as mteb's; a few characters differ",
    ),
    *(
        LocalSource(
            f"STS{year - 2000}",
            "eval_sts12_16",
            "STS",
            _STS,
            functools.partial(pairs.read_sts_year, year=year),
            _STS_NOTE,
        )
        for year in range(2012, 2017)
    ),
    LocalSource(
        "MsrParaphrasePairsLocal",
        "eval_msr_paraphrase",
        "PairClassification",
        (To("news", "sentence", "deciding whether two sentences are paraphrases"),),
        pairs.read_msr_paraphrase,
        "MSR paraphrase corpus, test part",
    ),
    LocalSource(
        "CovidQuestionPairsLocal",
        "eval_covid_faq",
        "PairClassification",
        (To("medicine", "question", "retrieving a duplicate question"),),
        pairs.read_covid_pairs,
        "questions on COVID-19 that ask the same or not",
    ),
)

_CLASSIFICATION = (
    LocalSource(
        "Banking77Classification",
        "eval_banking77",
        "Classification",
        (To("banking", "customer request", "classifying the intent"),),
        classification.read_banking77,
        "the authors' CSV files; the same texts as mteb's",
    ),
    LocalSource(
        "AmazonCounterfactualClassification",
        "eval_amazon_counterfactual",
        "Classification",
        (To("Amazon reviews", "sentence", "classifying it as counterfactual or not"),),
        classification.read_amazon_counterfactual,
        "English only; the same texts as mteb's",
        subset="en",
    ),
    LocalSource(
        "Clinc150ClassificationLocal",
        "eval_clinc150",
        "Classification",
        (To("dialogue", "request", "classifying the intent"),),
        clinc150.read_clinc150,
        "150 intents, without the requests out of scope",
    ),
    LocalSource(
        "CustomerReviewsClassificationLocal",
        "eval_customer_reviews_cr",
        "Classification",
        (To("product reviews", "sentence", "classifying the sentiment"),),
        functools.partial(classification.read_opinions, positive="custrev.pos", negative="custrev.neg"),
        "SentEval's CR; a seeded half is for testing, where SentEval cross-validates",
    ),
    LocalSource(
        "MpqaClassificationLocal",
        "eval_mpqa",
        "Classification",
        (To("news", "phrase", "classifying the opinion polarity"),),
        functools.partial(classification.read_opinions, positive="mpqa.pos", negative="mpqa.neg"),
        "SentEval's MPQA; a seeded half is for testing, where SentEval cross-validates",
    ),
    LocalSource(
        "DavidsonToxicityClassificationLocal",
        "eval_davidson_toxicity",
        "Classification",
        (To("Twitter", "tweet", "classifying toxic language"),),
        classification.read_davidson,
        "a seeded fifth is for testing; samples per class as in ToxicConversationsClassification",
        samples_per_label=16,
    ),
    LocalSource(
        "TweetEvalEmotionClassificationLocal",
        "eval_tweeteval_emotion",
        "Classification",
        (To("Twitter", "tweet", "classifying the emotion"),),
        classification.read_tweeteval,
        "four emotions; samples per class as in EmotionClassification",
        samples_per_label=16,
    ),
    *(
        LocalSource(
            f"TweetEval{name}ClassificationLocal",
            f"eval_tweeteval_{name.lower()}",
            "Classification",
            (To("Twitter", "tweet", objective),),
            classification.read_tweeteval,
            "accuracy, where TweetEval reports F1; samples per class as in TweetSentimentExtractionClassification",
            samples_per_label=32,
        )
        for name, objective in (("Hate", "classifying hate speech"), ("Irony", "classifying irony"))
    ),
    *(
        LocalSource(
            f"Nlu{corpus}ClassificationLocal",
            "eval_nlu_corpora",
            "Classification",
            (To(domain, "question", "classifying the intent"),),
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
    LocalSource(
        "AgNewsClusteringLocal",
        "eval_ag_news",
        "Clustering",
        (To("news", "article title", "identifying the topic"),),
        clustering.read_ag_news,
        "titles of the test part, 4 topics, ten sets of 760",
    ),
    LocalSource(
        "SearchSnippetsClusteringLocal",
        "eval_search_snippets",
        "Clustering",
        (To("web", "search snippet", "identifying the topic"),),
        clustering.read_search_snippets,
        "8 domains, ten sets of 1,234",
    ),
    LocalSource(
        "StackOverflowTitlesClusteringLocal",
        "eval_stackoverflow_titles",
        "Clustering",
        (To("Stack Overflow", "question title", "identifying the topic"),),
        clustering.read_stackoverflow_titles,
        "20 tags, ten sets of 2,000",
    ),
    LocalSource(
        "PublicApisClusteringLocal",
        "eval_public_apis",
        "Clustering",
        (To("software", "API description", "identifying the category"),),
        clustering.read_public_apis,
        "four sets of a quarter of the categories each",
    ),
    LocalSource(
        "Clinc150ClusteringLocal",
        "eval_clinc150",
        "Clustering",
        (To("dialogue", "request", "identifying the intent"),),
        clinc150.read_clinc150_clusters,
        "test part, five sets of 30 intents each",
    ),
)

_RETRIEVAL = (
    LocalSource(
        "XQuADRetrieval",
        "eval_xquad_en",
        "Retrieval",
        (To("Wikipedia", "question", "retrieving the paragraph"), To("Wikipedia", "paragraph", "retrieval")),
        retrieval.read_xquad,
        "English only; the same questions and paragraphs as mteb's",
        split="validation",
        subset="en",
    ),
    LocalSource(
        "DBPediaPartRetrievalLocal",
        "eval_dbpedia_entity_sub",
        "Retrieval",
        (
            To("Wikipedia", "entity query", "retrieving entity descriptions"),
            To("Wikipedia", "entity description", "retrieval"),
        ),
        retrieval.read_beir,
        "5,000 of DBPedia-Entity's 4.6 million documents: far easier than mteb's DBPedia",
    ),
    LocalSource(
        "DisflQaRetrievalLocal",
        "eval_disfl_qa",
        "Retrieval",
        (To("Wikipedia", "disfluent question", "retrieving its fluent form"), To("Wikipedia", "question", "retrieval")),
        retrieval.read_disfl_qa,
        "test part; one relevant question each",
    ),
    LocalSource(
        "CovidFaqRetrievalLocal",
        "eval_covid_faq",
        "Retrieval",
        (To("medicine", "question", "retrieving the answer"), To("medicine", "answer", "retrieval")),
        retrieval.read_covid_faq,
        "small: every answer is one of about 200",
    ),
    LocalSource(
        "CisiRetrievalLocal",
        "eval_cisi",
        "Retrieval",
        (
            To("library science", "question", "retrieving relevant abstracts"),
            To("library science", "abstract", "retrieval"),
        ),
        retrieval.read_cisi,
        "the judged queries only; many relevant documents each",
    ),
    LocalSource(
        "CranfieldRetrievalLocal",
        "eval_cranfield",
        "Retrieval",
        (To("aerodynamics", "question", "retrieving relevant abstracts"), To("aerodynamics", "abstract", "retrieval")),
        retrieval.read_cranfield,
        "all positive codes count as relevant alike; a few abstracts of this copy are damaged",
    ),
    LocalSource(
        "TrecQaRerankingLocal",
        "eval_trec_qa",
        "Reranking",
        (To("news", "question", "retrieving the sentence that answers it"), To("news", "sentence", "retrieval")),
        retrieval.read_trec_qa,
        "test part; the questions that have right and wrong candidates",
    ),
)

SOURCES: tuple[LocalSource, ...] = (*_SENTENCE_PAIRS, *_CLASSIFICATION, *_CLUSTERING, *_RETRIEVAL)
