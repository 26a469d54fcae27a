"""`SOURCES`: every training folder with its tasks, the instruction of each side, its reader and its licence.

Read a row as: folder (and the task's name within it), reader, licence, instruction of the query, instruction of the
document. An instruction is (domain, text type, objective); a row with one instruction is symmetric, so that both sides
are read under it. Super-NaturalInstructions makes its instructions from its own files (see that module).
"""

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

from instructor_jax.text.instructions import Instruction as To

from .files.records import Instance, Licence, Row, Source
from .readers import (
    aspects,
    code,
    debate,
    dialogue,
    documents,
    kilt,
    mathematics,
    medicine,
    paraphrase,
    qa,
    software,
    summaries,
    trivia,
)
from .readers import classification as classes
from .readers.source import labelled_source, pair_source

APACHE, MIT, CC0 = Licence("Apache-2.0", True), Licence("MIT", True), Licence("CC0 1.0", True)
CC_BY, CC_BY_SA = Licence("CC BY 4.0", True), Licence("CC BY-SA 4.0", True)
CC_BY_SA_3, GPL = Licence("CC BY-SA 3.0", True), Licence("GPL-3.0", True)
KILT = Licence("MIT; its passages are CC BY-SA 3.0", True)
NONE_STATED = Licence("none stated", False)
NON_COMMERCIAL = Licence("CC BY-NC 4.0", False)
NON_COMMERCIAL_SA = Licence("CC BY-NC-SA 4.0", False)
PLATFORM = Licence("none of its own; the platform's terms apply", False)
PERMISSION = Licence("by permission of the authors, no single licence", False)

of = functools.partial  # a reader with its argument: of(code.codenn, language="sql")
TEXT2SQL_OTHERS = ("academic", "imdb", "restaurants", "scholar", "yelp")


def pairs(
    place: str, reader: Callable[[Path], Iterator[Row]], licence: Licence, query: To, document: To | None = None
) -> Source:
    """Returns a task of finished pairs; `place` is "folder" or "folder/task", which names the task folder_task."""
    folder = place.partition("/")[0]
    return pair_source(place.replace("/", "_"), folder, reader, query, document, licence)


def labels(place: str, reader: Callable[[Path], Iterator[Instance]], licence: Licence, query: To) -> Source:
    """Returns a task of labelled texts, whose pairs are mined later."""
    return labelled_source(place.replace("/", "_"), place.partition("/")[0], reader, query, licence)


# fmt: off
SOURCES: tuple[Source, ...] = (
    # Debate, claims and reasons.
    pairs("argkp2021", debate.argkp2021, APACHE,
          To("debate", "argument", "retrieving the key point it makes"),
          To("debate", "key point", "retrieval")),
    pairs("comve/reason", debate.comve_reason, CC_BY_SA,
          To("common sense", "statement", "retrieving the reason why it is wrong"),
          To("common sense", "explanation", "retrieval")),
    pairs("comve/paraphrase", debate.comve_paraphrase, CC_BY_SA,
          To("common sense", "explanation", "retrieving another explanation of the same mistake")),
    pairs("explagraphs", debate.explagraphs, MIT,
          To("debate", "belief", "retrieving a supporting argument"),
          To("debate", "argument", "retrieval")),
    pairs("fnc1", debate.fnc1, NONE_STATED,
          To("news", "headline", "retrieving the article"),
          To("news", "article", "retrieval")),
    pairs("liar_plus", debate.liar_plus, CC0,
          To("politics", "claim", "retrieving the fact-check"),
          To("politics", "justification", "retrieval")),

    # Texts that mean the same.
    pairs("asset_valid", paraphrase.asset, NON_COMMERCIAL,
          To("Wikipedia", "sentence", "retrieving a simpler paraphrase")),
    pairs("turkcorpus_tune", paraphrase.turkcorpus, GPL,
          To("Wikipedia", "sentence", "retrieving a simpler paraphrase")),
    pairs("wiki_split", paraphrase.wiki_split, CC_BY_SA,
          To("Wikipedia", "sentence", "retrieving a text of the same meaning")),
    pairs("parade", paraphrase.parade, NONE_STATED,
          To("computer science", "definition", "deciding whether two definitions mean the same")),
    pairs("lc_quad", paraphrase.lc_quad, GPL,
          To("knowledge base", "templated question", "retrieving its natural form"),
          To("knowledge base", "question", "retrieval")),
    pairs("e2e_nlg/description", paraphrase.e2e_description, CC_BY_SA,
          To("restaurants", "structured facts", "retrieving the description"),
          To("restaurants", "description", "retrieval")),
    pairs("e2e_nlg/paraphrase", paraphrase.e2e_paraphrase, CC_BY_SA,
          To("restaurants", "description", "retrieving a description of the same restaurant")),
    pairs("nli_datasets/snli", of(paraphrase.nli, name="snli", splits=("dev",)), CC_BY_SA,
          To("image", "caption", "retrieving an entailed sentence")),
    pairs("nli_datasets/mnli", of(paraphrase.nli, name="mnli", splits=("dev",)), Licence("mostly OANC", True),
          To("", "sentence", "retrieving an entailed sentence")),
    pairs("nli_datasets/scitail", of(paraphrase.nli, name="scitail", splits=("dev",)), APACHE,
          To("science", "sentence", "retrieving an entailed sentence")),
    pairs("nli_datasets/rte", of(paraphrase.nli, name="rte", splits=("train", "dev")), NONE_STATED,
          To("news", "passage", "retrieving an entailed sentence"),
          To("news", "sentence", "retrieval")),
    pairs("nli_datasets/joci", of(paraphrase.nli, name="joci", splits=("train", "dev")), NONE_STATED,
          To("common sense", "sentence", "retrieving a sentence that very likely follows")),

    # Questions and the passages or answers that belong to them.
    pairs("policyqa", qa.policyqa, MIT,
          To("legal", "privacy question", "retrieving the policy paragraph"),
          To("legal", "policy paragraph", "retrieval")),
    pairs("covid_qa", qa.covid_qa, APACHE,
          To("medicine", "question", "retrieving the passage"),
          To("medicine", "article passage", "retrieval")),
    pairs("nq_open", qa.nq_open, APACHE,
          To("Wikipedia", "question", "retrieving the short answer"),
          To("Wikipedia", "answer", "retrieval")),
    *(pairs(f"kilt/{task}", of(kilt.kilt, task=task), KILT, query, To("Wikipedia", "passage", "retrieval"))
      for task, query in (
          ("nq", To("Wikipedia", "question", "retrieving the supporting passage")),
          ("hotpotqa", To("Wikipedia", "multi-hop question", "retrieving the supporting passage")),
          ("fever", To("", "claim", "retrieving evidence")),
          ("wow", To("Wikipedia", "dialogue", "retrieving the passage for the next turn")))),
    pairs("qed/paragraph", qa.qed_paragraph, CC_BY_SA_3,
          To("Wikipedia", "question", "retrieving the supporting paragraph"),
          To("Wikipedia", "paragraph", "retrieval")),
    pairs("qed/sentence", qa.qed_sentence, CC_BY_SA_3,
          To("Wikipedia", "question", "retrieving the supporting sentence"),
          To("Wikipedia", "sentence", "retrieval")),
    pairs("strategyqa/facts", qa.strategyqa_facts, MIT,
          To("Wikipedia", "question", "retrieving facts that answer it"),
          To("Wikipedia", "facts", "retrieval")),
    pairs("strategyqa/decomposition", qa.strategyqa_decomposition, MIT,
          To("Wikipedia", "question", "retrieving the simpler questions it consists of"),
          To("Wikipedia", "sequence of questions", "retrieval")),
    pairs("tatqa", qa.tatqa, MIT,
          To("finance", "question", "retrieving the report passage"),
          To("finance", "report passage", "retrieval")),
    pairs("open_trivia_qa/answer", trivia.open_trivia_answer, CC_BY_SA,
          To("trivia", "question", "retrieving the right answer"),
          To("trivia", "answer", "retrieval")),
    labels("open_trivia_qa/category", trivia.open_trivia_category, CC_BY_SA,
           To("trivia", "question", "classifying its topic")),
    pairs("truthfulqa", trivia.truthfulqa, NONE_STATED,
          To("common misconceptions", "question", "retrieving the true answer"),
          To("common misconceptions", "answer", "retrieval")),
    pairs("gsm8k", mathematics.gsm8k, MIT,
          To("mathematics", "word problem", "retrieving its solution"),
          To("mathematics", "solution", "retrieval")),
    pairs("svamp/equation", mathematics.svamp_equation, MIT,
          To("mathematics", "word problem", "retrieving its equation"),
          To("mathematics", "equation", "retrieval")),
    labels("svamp/operation", mathematics.svamp_operation, MIT,
           To("mathematics", "word problem", "classifying the operation that solves it")),

    # Medicine.
    pairs("healthver", medicine.healthver, NONE_STATED,
          To("medicine", "claim", "retrieving evidence"),
          To("medicine", "research sentence", "retrieval")),
    pairs("mediqa_rqe", medicine.mediqa_rqe, NONE_STATED,
          To("medicine", "consumer question", "retrieving an entailed question"),
          To("medicine", "question", "retrieval")),
    pairs("medmcqa/answer", medicine.medmcqa_answer, MIT,
          To("medicine", "question", "retrieving the answer"),
          To("medicine", "answer", "retrieval")),
    pairs("medmcqa/explanation", medicine.medmcqa_explanation, MIT,
          To("medicine", "question", "retrieving the explanation of its answer"),
          To("medicine", "explanation", "retrieval")),
    pairs("medquad", medicine.medquad, CC_BY,
          To("medicine", "question", "retrieving the answer"),
          To("medicine", "answer", "retrieval")),
    pairs("meqsum", medicine.meqsum, CC_BY,
          To("medicine", "consumer question", "retrieving its summary"),
          To("medicine", "short question", "retrieval")),
    pairs("pubmedqa/abstract", medicine.pubmedqa_abstract, MIT,
          To("medicine", "research question", "retrieving the abstract that answers it"),
          To("medicine", "abstract", "retrieval")),
    pairs("pubmedqa/conclusion", medicine.pubmedqa_conclusion, MIT,
          To("medicine", "research question", "retrieving the conclusion that answers it"),
          To("medicine", "conclusion", "retrieval")),

    # Code, commands and databases.
    pairs("codenn_stackoverflow/csharp", of(code.codenn, language="csharp"), MIT,
          To("programming", "question title", "retrieving C# code that answers it"),
          To("programming", "C# code snippet", "retrieval")),
    pairs("codenn_stackoverflow/python", of(code.codenn, language="python"), MIT,
          To("programming", "question title", "retrieving Python code that answers it"),
          To("programming", "Python code snippet", "retrieval")),
    pairs("codenn_stackoverflow/sql", of(code.codenn, language="sql"), MIT,
          To("programming", "question title", "retrieving SQL code that answers it"),
          To("programming", "SQL code snippet", "retrieval")),
    pairs("conala/snippet", code.conala_snippet, NONE_STATED,
          To("programming", "coding intent", "retrieving a Python snippet"),
          To("programming", "Python code", "retrieval")),
    pairs("conala/rewritten", code.conala_rewritten, NONE_STATED,
          To("programming", "coding intent", "retrieving the same intent in other words")),
    pairs("nl2bash/command", code.nl2bash_command, MIT,
          To("software", "command description", "retrieving the matching shell command"),
          To("software", "shell command", "retrieval")),
    pairs("nl2bash/paraphrase", code.nl2bash_paraphrase, MIT,
          To("software", "command description", "retrieving a description of the same command")),
    pairs("tldr_pages/command", code.tldr_command, CC_BY,
          To("software", "command description", "retrieving the matching shell command"),
          To("software", "shell command", "retrieval")),
    pairs("tldr_pages/page", code.tldr_page, CC_BY,
          To("software", "summary of a command-line tool", "retrieving the page of its examples"),
          To("software", "page of examples", "retrieval")),
    pairs("text2sql/advising_question", of(code.text2sql_question, databases=("advising",)), CC_BY,
          To("university", "question", "retrieving a question with the same SQL")),
    pairs("text2sql/advising_query", of(code.text2sql_query, databases=("advising",)), CC_BY,
          To("university", "question", "retrieving the SQL query that answers it"),
          To("university", "SQL query", "retrieval")),
    pairs("text2sql/others_question", of(code.text2sql_question, databases=TEXT2SQL_OTHERS), PERMISSION,
          To("database", "question", "retrieving a question with the same SQL")),
    pairs("text2sql/others_query", of(code.text2sql_query, databases=TEXT2SQL_OTHERS), PERMISSION,
          To("database", "question", "retrieving the SQL query that answers it"),
          To("database", "SQL query", "retrieval")),

    # Software, exercises, emoji.
    pairs("awesome_python/category", software.awesome_python_category, CC_BY,
          To("software", "library description", "retrieving its category"),
          To("software", "category", "retrieval")),
    pairs("awesome_python/name", software.awesome_python_name, CC_BY,
          To("software", "library description", "retrieving the name of the library"),
          To("software", "library name", "retrieval")),
    labels("awesome_selfhosted/category", software.awesome_selfhosted_category, CC_BY_SA_3,
           To("software", "product description", "classifying the category")),
    pairs("awesome_selfhosted/description", software.awesome_selfhosted_description, CC_BY_SA_3,
          To("software", "product name", "retrieving its description"),
          To("software", "product description", "retrieval")),
    pairs("exercism", software.exercism, MIT,
          To("programming", "exercise summary", "retrieving the exercise"),
          To("programming", "exercise text", "retrieval")),
    pairs("gemoji/tags", software.gemoji_tags, MIT,
          To("emoji", "description", "retrieving its tags"),
          To("emoji", "tag list", "retrieval")),
    labels("gemoji/category", software.gemoji_category, MIT,
           To("emoji", "description", "classifying the category")),

    # Documents and their sections, summaries, dialogues.
    pairs("rust_book", documents.rust_book, Licence("MIT or Apache-2.0", True),
          To("programming", "section title", "retrieving the section"),
          To("programming", "tutorial section", "retrieval")),
    pairs("owasp_cheatsheets", documents.owasp_cheatsheets, CC_BY_SA,
          To("security", "topic", "retrieving the section"),
          To("security", "guide section", "retrieval")),
    pairs("peps/abstract", documents.peps_abstract, Licence("public domain or CC0 in nearly all texts", True),
          To("programming", "proposal title", "retrieving the proposal"),
          To("programming", "proposal text", "retrieval")),
    pairs("peps/section", documents.peps_section, Licence("public domain or CC0 in nearly all texts", True),
          To("programming", "proposal title with section heading", "retrieving the section"),
          To("programming", "proposal section", "retrieval")),
    pairs("scitldr/summary", summaries.scitldr_summary, APACHE,
          To("science", "paper summary", "retrieving the abstract"),
          To("science", "abstract", "retrieval")),
    pairs("scitldr/title", summaries.scitldr_title, APACHE,
          To("science", "paper title", "retrieving the abstract"),
          To("science", "abstract", "retrieval")),
    pairs("legal_summarization", summaries.legal_summarization, APACHE,
          To("legal", "plain summary", "retrieving the contract passage"),
          To("legal", "contract passage", "retrieval")),
    pairs("dialogsum/dialogue", dialogue.dialogsum_dialogue, NON_COMMERCIAL_SA,
          To("dialogue", "summary", "retrieving the conversation"),
          To("dialogue", "conversation", "retrieval")),
    pairs("dialogsum/summary", dialogue.dialogsum_summary, NON_COMMERCIAL_SA,
          To("dialogue", "summary", "retrieving a summary of the same conversation")),
    pairs("sgd_dialogues/reply", dialogue.sgd_reply, CC_BY_SA,
          To("dialogue", "user utterance", "retrieving the next reply"),
          To("dialogue", "system reply", "retrieval")),
    labels("sgd_dialogues/intent", dialogue.sgd_intent, CC_BY_SA,
           To("dialogue", "user utterance", "classifying the intent")),
    pairs("sgd_dialogues/description", dialogue.sgd_intent_description, CC_BY_SA,
          To("dialogue", "user utterance", "retrieving the description of its intent"),
          To("dialogue", "intent description", "retrieval")),

    # Labelled texts.
    labels("fewrel/wiki", of(classes.fewrel, part="wiki"), MIT,
           To("Wikipedia", "sentence", "classifying the relation of two entities")),
    labels("fewrel/nyt", of(classes.fewrel, part="nyt"), MIT,
           To("news", "sentence", "classifying the relation of two entities")),
    labels("fewrel/pubmed", of(classes.fewrel, part="pubmed"), MIT,
           To("medicine", "sentence", "classifying the relation of two entities")),
    pairs("fewrel/description", classes.fewrel_description, MIT,
          To("knowledge base", "relation", "retrieving a sentence that states it"),
          To("knowledge base", "sentence", "retrieval")),
    labels("query_wellformedness", classes.query_wellformedness, CC_BY_SA,
           To("web", "question", "classifying it as well formed or not")),
    labels("sentence_polarity_mr", of(classes.one_file_per_class, files=classes.POLARITY_FILES), MIT,
           To("film reviews", "sentence", "classifying the sentiment")),
    labels("subjectivity_subj", of(classes.one_file_per_class, files=classes.SUBJECTIVITY_FILES), MIT,
           To("films", "sentence", "classifying it as subjective or objective")),
    labels("snips", classes.snips, CC0,
           To("dialogue", "request", "classifying the intent")),
    labels("trec_questions", classes.trec_questions, MIT,
           To("", "question", "classifying the answer type")),
    labels("tweeteval_offensive", classes.tweets, PLATFORM,
           To("Twitter", "tweet", "classifying offensive language")),
    labels("tweeteval_stance/abortion", of(classes.tweeteval_stance, target="abortion"), PLATFORM,
           To("Twitter", "tweet", "classifying the stance to legalising abortion")),
    labels("tweeteval_stance/atheism", of(classes.tweeteval_stance, target="atheism"), PLATFORM,
           To("Twitter", "tweet", "classifying the stance to atheism")),
    labels("tweeteval_stance/climate", of(classes.tweeteval_stance, target="climate"), PLATFORM,
           To("Twitter", "tweet", "classifying the stance to climate change as a real concern")),
    labels("tweeteval_stance/feminist", of(classes.tweeteval_stance, target="feminist"), PLATFORM,
           To("Twitter", "tweet", "classifying the stance to feminism")),
    labels("tweeteval_stance/hillary", of(classes.tweeteval_stance, target="hillary"), PLATFORM,
           To("Twitter", "tweet", "classifying the stance to Hillary Clinton")),

    # The same texts under instructions that ask for different things.
    pairs("e2e_nlg/food", of(aspects.e2e_aspect, aspect="food"), CC_BY_SA,
          To("restaurants", "description", "classifying the kind of food")),
    pairs("e2e_nlg/price", of(aspects.e2e_aspect, aspect="priceRange"), CC_BY_SA,
          To("restaurants", "description", "classifying the price")),
    pairs("e2e_nlg/rating", of(aspects.e2e_aspect, aspect="customer rating"), CC_BY_SA,
          To("restaurants", "description", "classifying how well its customers like it")),
    pairs("e2e_nlg/area", of(aspects.e2e_aspect, aspect="area"), CC_BY_SA,
          To("restaurants", "description", "classifying the part of the city")),
    pairs("e2e_nlg/children", of(aspects.e2e_aspect, aspect="familyFriendly"), CC_BY_SA,
          To("restaurants", "description", "classifying it as good for children or not")),
    pairs("medquad/topic", of(aspects.medquad_aspect, aspect="topic"), CC_BY,
          To("medicine", "question", "classifying the disease that it is about")),
    pairs("medquad/kind", of(aspects.medquad_aspect, aspect="kind"), CC_BY,
          To("medicine", "question", "classifying what it wants to know of the disease")),
    pairs("argkp2021/topic", of(aspects.argkp_aspect, aspect="topic"), APACHE,
          To("debate", "argument", "classifying the topic")),
    pairs("argkp2021/side", of(aspects.argkp_aspect, aspect="side"), APACHE,
          To("debate", "argument", "classifying the side that it takes")),
    pairs("sgd_dialogues/service", of(aspects.sgd_aspect, aspect="service"), CC_BY_SA,
          To("dialogue", "utterance", "classifying the service that it is about")),
    pairs("sgd_dialogues/act", of(aspects.sgd_aspect, aspect="act"), CC_BY_SA,
          To("dialogue", "utterance", "classifying what the speaker does with it")),
    pairs("nli_datasets/snli_contradiction", of(aspects.nli_contradiction, name="snli", splits=("dev",)), CC_BY_SA,
          To("image", "caption", "retrieving a sentence that contradicts it")),
    pairs("nli_datasets/mnli_contradiction", of(aspects.nli_contradiction, name="mnli", splits=("dev",)),
          Licence("mostly OANC", True),
          To("", "sentence", "retrieving a sentence that contradicts it")),
)
# fmt: on
