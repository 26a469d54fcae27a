"""The three tasks in which a language model writes; that of two of them, code-davinci-002, is gone.

Read from the original scripts, like the others.
"""

from instructor_jax.evaluation.prompt_retrieval.task import Budget, PromptTask, Row


def _last_turn(row: Row) -> str:
    said = {who: row["dialog"][who][-1] for who in ("sys", "usr")}
    blank = {who: "" if text == "none" else text for who, text in said.items()}
    return f"[system] {blank['sys']} [user] {blank['usr']}"


WRITTEN: tuple[PromptTask, ...] = (
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
