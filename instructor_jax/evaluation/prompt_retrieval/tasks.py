"""The eleven Prompt Retrieval tasks as declared facts: data, text embedded, prompt, budget, what is scored.

Read from the original scripts (evaluation/prompt_retrieval of the published repository); where two scripts differ in
something that looks like chance (a full stop after a review, which side is centred) the difference is kept, because the
published scores have it.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

Row = Mapping[str, Any]

Learner = Literal["options", "greedy", "code-davinci-002"]
Draw = Literal["all_pool", "sample", "one_file", "reviewers", "identity", "dialogues"]


@dataclasses.dataclass(frozen=True)
class Budget:
    """How many demonstrations go into a prompt, counted in tokens of the language model (originally GPT-2's).

    Attributes:
        tokens: most of the query's input and all demonstrations together; the first that does not fit ends the choice.
        each: a demonstration with more is passed over.
        most: only this many nearest are considered; one that is passed over is not replaced.
        joined: count a demonstration's input and output as one string; otherwise apart.
    """

    tokens: int
    each: int | None = None
    most: int | None = None
    joined: bool = False


@dataclasses.dataclass(frozen=True)
class PromptTask:
    """One task.

    Attributes:
        task: its name in tables of instructions and of scores.
        title: its name for people, with the source of its data.
        pool_files, test_files: stems of the files that hold the pool and the test rows, the original names included.
        fields: what every row must have, named as in the public data set.
        draw: how pool and test are drawn, always with seed 0; see `prompt_data`.
        pool, test: how many rows are drawn; None is all.
        text: what is embedded of a row.
        demonstration: a row as (input, output) of a prompt, of the query only the input is used; None for the two tasks
            whose language model is gone.
        label: what is predicted, as a string; None where no prompt can be run.
        scored: what ROUGE-L compares, in words.
        options: strings the language model chooses from, by label; or a function of the row; None where it writes.
        kind: what makes two rows alike in the cheap mode; None where nothing does.
        centred: "both" subtracts from pool and test each its own mean vector; "pool" from the pool alone.
        skips_identical: passes over pool rows whose cosine is exactly 1.
        budget: of the demonstrations.
        learner: how the language model answers.
        prepared: makes of a row of the file the row that the other functions take.
    """

    task: str
    title: str
    pool_files: tuple[str, ...]
    test_files: tuple[str, ...]
    fields: tuple[str, ...]
    draw: Draw
    pool: int | None
    test: int
    text: Callable[[Row], str]
    demonstration: Callable[[Row], tuple[str, str]] | None
    label: Callable[[Row], str] | None
    scored: str
    options: Mapping[str, str] | Callable[[Row], Mapping[str, str]] | None
    kind: Callable[[Row], str] | None
    centred: Literal["both", "pool"]
    skips_identical: bool
    budget: Budget
    learner: Learner
    prepared: Callable[[Row], Row] = dict

    def options_of(self, row: Row) -> Mapping[str, str]:
        """The options for one row: label to string."""
        assert self.options is not None
        return self.options(row) if callable(self.options) else self.options


def _label(row: Row) -> str:
    return str(row["label"])


def _numbered(*names: str) -> dict[str, str]:
    return {str(number): name for number, name in enumerate(names)}


def _sentence_and_question(row: Row) -> Row:
    """The parts of "Sentence: ... \\nQuestion: ..."."""
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


def _last_turn(row: Row) -> str:
    said = {who: row["dialog"][who][-1] for who in ("sys", "usr")}
    blank = {who: "" if text == "none" else text for who, text in said.items()}
    return f"[system] {blank['sys']} [user] {blank['usr']}"


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

TASKS: tuple[PromptTask, ...] = (
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
    PromptTask(
        task="coda_title_generation",
        title="CoDA title generation (Super-NaturalInstructions)",
        pool_files=("coda_title_gen", "task1161_coda19_title_generation"),
        test_files=(),
        fields=("input", "output"),
        draw="one_file",
        pool=3000,
        test=256,
        text=lambda row: row["input"],
        demonstration=lambda row: (f"write a title\n{row['input']}\ntitle:", f"{row['output'][0]}\n\n"),
        label=lambda row: row["output"][0],
        scored="pieces of the title, joined by blanks",
        options=None,
        kind=None,
        centred="both",
        skips_identical=False,
        budget=Budget(tokens=1900, most=16, joined=True),
        learner="greedy",
    ),
    PromptTask(
        task="geoquery",
        title="GeoQuery (questions to a database of US geography, with SQL)",
        pool_files=("pool", "geoquery_train"),
        test_files=("test", "geoquery_eval"),
        fields=("question", "query", "seq_in", "sql_template"),
        draw="all_pool",
        pool=None,
        test=256,
        text=lambda row: row["seq_in"],  # the question with the columns of the database's tables
        demonstration=None,
        label=None,
        scored="SQL, the prediction without its leading SELECT",
        options=None,
        kind=lambda row: row["sql_template"],
        centred="pool",
        skips_identical=False,
        budget=Budget(tokens=3800, joined=True),
        learner="code-davinci-002",
    ),
    PromptTask(
        task="mwoz",
        title="MultiWOZ 2.4 (dialogue turns and what they change in the dialogue's state)",
        pool_files=("pool", "mw24_100p_train"),
        test_files=("test", "mw24_100p_test"),
        fields=("ID", "turn_id", "domains", "dialog", "turn_slot_values"),
        draw="dialogues",
        pool=1000,  # dialogues
        test=256,  # turns
        text=_last_turn,
        demonstration=None,
        label=None,
        scored="slots and values of the dialogue's state",
        options=None,
        kind=lambda row: ", ".join(sorted(row["turn_slot_values"])),
        centred="pool",
        skips_identical=False,
        budget=Budget(tokens=3800, joined=True),
        learner="code-davinci-002",
    ),
)
