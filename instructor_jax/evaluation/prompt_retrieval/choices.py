"""The eight tasks in which a language model chooses among options.

Read from the original scripts (evaluation/prompt_retrieval of the published repository); where two scripts differ in
something that looks like chance (a full stop after a review, which side is centred) the difference is kept, because the
published scores have it.
"""

from typing import Any

from instructor_jax.evaluation.prompt_retrieval.task import Budget, PromptTask, Row


def _label(row: Row) -> str:
    return str(row["label"])


def _numbered(*names: str) -> dict[str, str]:
    return {str(number): name for number, name in enumerate(names)}


def _sentence_and_question(row: Row) -> Row:
    """Returns the parts of "Sentence: ... \\nQuestion: ..."."""
    sentence, mark, question = row["input"].partition("\nQuestion:")
    if not mark or not sentence.startswith("Sentence:"):
        raise ValueError(f"input must be 'Sentence: ... Question: ...' on two lines, got {row['input'][:60]!r}")
    return {
        "sentence": sentence.replace("Sentence:", "").strip(),
        "question": question.strip(),
        "label": row["output"][0],
    }


def _context(row: Row) -> str:
    return f"The topic is {row['activity_label']}. {row['ctx_a']} {row['ctx_b']} "


_SENTIMENT = _numbered("very negative", "negative", "neutral", "positive", "very positive")
_FEEL = "How do you feel about the following sentence?\n"
_TONE = "Is the following sentence 'positive' or 'negative'?\n"
_ANSWERED = {"Yes.": "True", "No.": "False"}
_DBPEDIA = _numbered(
    *("company", "educational institution", "artist", "athlete", "office holder", "mean of transportation"),
    *("building", "natural place", "village", "animal", "plant", "album", "film", "written work"),
)
_RTE = _numbered("True", "False")
_MRPC = _numbered("not equivalent", "equivalent")
_CIVIL = _numbered("positive", "negative")

# The five tasks of the first script share everything but their texts.
_FIRST: dict[str, Any] = {
    "pool_files": ("pool", "train"),
    "test_files": ("test", "validation"),
    "centred": "both",
    "skips_identical": True,
    "budget": Budget(tokens=1000, each=250),
    "learner": "options",
    "test": 256,
}

CHOICES: tuple[PromptTask, ...] = (
    PromptTask(
        task="rte",
        title="RTE (GLUE; pool: train, test: validation)",
        fields=("sentence1", "sentence2", "label"),
        draw="all_pool",
        pool=None,
        text=lambda row: f"{row['sentence1']}.\nquestion: {row['sentence2']}",
        demonstration=lambda row: (
            f"{row['sentence1']}.\nquestion: {row['sentence2']}. True or False?\nanswer:",
            _RTE[_label(row)],
        ),
        label=_label,
        scored="label",
        options=_RTE,
        kind=_label,
        **_FIRST,
    ),
    PromptTask(
        task="sst5",
        title="SST-5 (SetFit/sst5; pool: train, test: test)",
        fields=("text", "label"),
        draw="sample",
        pool=3000,
        text=lambda row: row["text"],
        demonstration=lambda row: (f"{_FEEL}{row['text']}\nanswer:", _SENTIMENT[_label(row)]),
        label=_label,
        scored="label",
        options=_SENTIMENT,
        kind=_label,
        **_FIRST,
    ),
    PromptTask(
        task="mrpc",
        title="MRPC (GLUE; pool: train, test: validation)",
        fields=("sentence1", "sentence2", "label"),
        draw="sample",
        pool=3000,
        text=lambda row: f"{row['sentence1']}.\n{row['sentence2']}",
        demonstration=lambda row: (
            "Are the following two sentences 'equivalent' or 'not equivalent'?\n"
            f"{row['sentence1']}.\n{row['sentence2']}.\nanswer:",
            _MRPC[_label(row)],
        ),
        label=_label,
        scored="label",
        options=_MRPC,
        kind=_label,
        **_FIRST,
    ),
    PromptTask(
        task="dbpedia_14",
        title="DBpedia_14 (pool: train, test: test)",
        fields=("title", "content", "label"),
        draw="sample",
        pool=3000,
        text=lambda row: f"title: {row['title']} ; content: {row['content']}",
        demonstration=lambda row: (f"title: {row['title']}; content: {row['content']}", _DBPEDIA[_label(row)]),
        label=_label,
        scored="label",
        options=_DBPEDIA,
        kind=_label,
        **_FIRST,
    ),
    PromptTask(
        task="hellaswag",
        title="HellaSwag (pool: train, test: validation)",
        fields=("activity_label", "ctx_a", "ctx_b", "endings", "label"),
        draw="sample",
        pool=3000,
        text=lambda row: " | ".join([_context(row).removesuffix(" "), *row["endings"]]),
        demonstration=lambda row: (_context(row), row["endings"][int(row["label"])]),
        label=lambda row: row["endings"][int(row["label"])],  # the one choice whose texts are compared, not its labels
        scored="text of the ending",
        options=lambda row: {ending: ending for ending in row["endings"]},
        kind=lambda row: row["activity_label"],  # the label is a position
        **_FIRST,
    ),
    PromptTask(
        task="multirc_answerability",
        title="MultiRC answerability (Super-NaturalInstructions task050)",
        pool_files=("multric_answerability", "task050_multirc_answerability"),
        test_files=(),
        fields=("input", "output"),
        draw="one_file",
        pool=3000,
        test=256,
        prepared=_sentence_and_question,
        text=lambda row: f"{row['sentence']}\n{row['question']}",
        demonstration=lambda row: (
            f"{row['sentence']}\n. Based on that information, can we know {row['question']}\nanswer:",
            _ANSWERED[_label(row)],
        ),
        label=_label,
        scored="label",
        options=_ANSWERED,
        kind=_label,
        centred="pool",
        skips_identical=False,
        budget=Budget(tokens=1000, joined=True),
        learner="options",
    ),
    PromptTask(
        task="amazon",
        title="Amazon reviews (WILDS; 20 reviewers with 50 reviews each)",
        pool_files=("pool", "amazon_train"),
        test_files=("test", "amazon_test"),
        fields=("text", "label", "meta"),
        draw="reviewers",
        pool=3000,
        test=1000,
        prepared=lambda row: {**row, "text": row["text"].replace("\n", "")},
        text=lambda row: row["text"],
        demonstration=lambda row: (f"{_FEEL}{row['text']}.\nanswer:", _SENTIMENT[_label(row)]),
        label=_label,
        scored="label",
        options=_SENTIMENT,
        kind=_label,
        centred="pool",
        skips_identical=False,
        budget=Budget(tokens=1000, each=250, most=2),
        learner="options",
    ),
    PromptTask(
        task="civil_comments",
        title="CivilComments (WILDS; toxic comments that name one identity)",
        pool_files=("pool", "civil_train"),
        test_files=("test", "civil_test"),
        fields=("text", "label", "meta"),
        draw="identity",
        pool=3000,
        test=256,
        text=lambda row: row["text"],
        demonstration=lambda row: (f"{_TONE}{row['text']}.\nanswer:", _CIVIL[_label(row)]),
        label=_label,
        scored="label",
        options=_CIVIL,
        kind=_label,
        centred="pool",
        skips_identical=False,
        budget=Budget(tokens=1000, each=250, most=2),
        learner="options",
    ),
)
