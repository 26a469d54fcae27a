"""`instructor-jax medi`: build or import a mixture, look at it, and mine hard negatives for one's own pairs."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from instructor_jax.io.printable import printable
from instructor_jax.option_types import WholeNumber

from ..data.task_names import chosen_tasks
from .options import MiningOptions, RowOptions
from .sources_list import fetch, sources

if TYPE_CHECKING:
    from .files.records import Source

app: App = App(
    name="medi",
    help="""Build, import, inspect and measure the training mixture.

For example:

  instructor-jax medi import pairs.jsonl --to data/mine
  instructor-jax medi inspect data/mine
""",
    help_format="plaintext",
    version_flags=[],
)
app.command(sources)
app.command(fetch)


@app.command
def build(
    data: Path,
    /,
    *,
    to: Path,
    only: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    without: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    redistributable: Annotated[bool, Parameter(negative="")] = False,
    corrections: Path | None = None,
    negatives: WholeNumber = 1,
    replace: Annotated[bool, Parameter(negative="")] = False,
    mining: MiningOptions = MiningOptions(),  # noqa: B008
) -> None:
    """Build the mixture from its source files; resumable task by task.

    DATA holds one folder per source, named as in the registry (super_natural_instructions, nli_datasets, ...).
    Folders named eval_* are never read. Killed and started again it goes on where it was.

      instructor-jax medi build data/raw --to data/medi
      instructor-jax medi build data/raw --to data/medi \\
          --scorer sentence-transformers:./sentence-t5-base --negatives 2

      instructor-jax medi build data/raw --to few --only gsm8k --redistributable

    Args:
        data: Folder of the sources.
        to: Folder of the mixture, a tensorflow-datasets builder; beside it lies TO.partial until all is done.
        only: Tasks to take, as names or patterns; by default all.
        without: Tasks to leave out, as names or patterns.
        redistributable: Take only sources whose licence allows commercial use.
        corrections: TOML file of instructions for Super-NaturalInstructions tasks, laid over the one shipped.
        negatives: Hard negatives of a row, at most. Pairs that come with fewer get mined ones added; 0 mines none.
        replace: Replace a mixture that is there.
        mining: See MiningOptions.
    """
    from .builder import build as build_store
    from .mining.scorers import scorer_from_name
    from .registry import all_sources
    from .reports import reports_table

    sources = _chosen(all_sources(data, corrections), only, without)
    if redistributable:
        sources = [source for source in sources if source.redistributable]
    if not sources:
        raise ValueError(f"no task of {data} is chosen; check --only, --without and --redistributable.")
    start = time.perf_counter()
    scorer = scorer_from_name(mining.scorer)
    reports = build_store(sources, data, to, scorer, mining.settings(negatives), replace)
    print(printable(reports_table(reports)))
    print(printable(f"{to}: {sum(r.rows for r in reports):,} rows in {time.perf_counter() - start:.0f} s"))


@app.command(name="import")
def import_(
    files: Annotated[list[Path], Parameter(consume_multiple=True)],
    /,
    *,
    to: Path,
    instruction_suffix: str | None = None,
    licence: str = "not given",
    replace: Annotated[bool, Parameter(negative="")] = False,
    rows: RowOptions = RowOptions(),  # noqa: B008
    negatives: WholeNumber = 0,
    mining: MiningOptions = MiningOptions(),  # noqa: B008
) -> None:
    """Store the published medi-data.json or own files; each own file is a task, named by the file.

    Rows of own files have the columns query and positive, optionally negatives (or negative_1, negative_2, ...),
    score, label, weight, id, query_instruction and document_instruction; labelled rows have text and label.

      instructor-jax medi import medi-data.json --to data/medi

      instructor-jax medi import faq.jsonl tickets.parquet --to data/mine \\
          --query-instruction "Represent the question for retrieving the answer: " \\
          --document-instruction "Represent the answer: " --negatives 3

      instructor-jax medi import quora.csv --to data/quora \\
          --query-column question1 --positive-column question2
      instructor-jax medi import intents.csv --to data/intents \\
          --format labelled --negatives 1

    Args:
        files: .json (published), .jsonl, .csv, .tsv (each also .gz) or .parquet.
        to: Folder of the mixture; beside it lies TO.partial until all is done.
        instruction_suffix: What published instructions are to end in, e.g. ": "; by default their own ";".
        licence: Licence of own files, kept in the metadata.
        replace: Replace a mixture that is there.
        rows: See RowOptions.
        negatives: Hard negatives of a row, at most. Pairs that come with fewer get mined ones added; 0 mines none.
        mining: See MiningOptions.
    """
    from .imports import import_files
    from .mining.scorers import scorer_from_name
    from .reports import reports_table

    start = time.perf_counter()
    reading = rows.reading(licence=licence, instruction_suffix=instruction_suffix)
    reports = import_files(files, to, scorer_from_name(mining.scorer), mining.settings(negatives), reading, replace)
    print(printable(reports_table(reports)))
    print(printable(f"{to}: {sum(r.rows for r in reports):,} rows in {time.perf_counter() - start:.0f} s"))


@app.command
def inspect(
    mixture: Path,
    /,
    *,
    task: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    count: WholeNumber = 3,
    seed: WholeNumber = 0,
    width: WholeNumber | None = None,
) -> None:
    """List the tasks of a mixture, or print examples of some of them for a person to judge.

    Examples are drawn at random, the same ones for the same seed.

      instructor-jax medi inspect data/medi
      instructor-jax medi inspect data/medi --task 'nli_*' gsm8k --count 5 --seed 1

    Args:
        mixture: Folder of the mixture.
        task: Tasks to print examples of, as names or patterns; without, all tasks are listed.
        count: Examples of each task.
        seed: Another seed draws other examples.
        width: Columns to fill; by default those of the terminal.
    """
    from .inspect import described, overview, sample
    from .storage.store import MediStore

    store = MediStore(mixture)
    if task is None:
        print(printable(overview(store)))
        return
    for name in chosen_tasks(store.tasks, task):
        for block in described(sample(store, name, count, seed), width):
            print(printable(f"{block}\n"))


@app.command
def stats(
    mixture: Path,
    /,
    *,
    to: Path,
    tokenizer: Path | None = None,
    evaluation: Annotated[list[Path] | None, Parameter(consume_multiple=True, negative="")] = None,
) -> None:
    """Write a page of plots and tables: tasks, lengths, instructions, duplicates, overlap with evaluation data.

    The page needs no other file and no network.

      instructor-jax medi stats data/medi --to medi.html
      instructor-jax medi stats data/medi --to medi.html \\
          --tokenizer my-model/tokenizer.json --evaluation sts.txt banking.jsonl

    Args:
        mixture: Folder of the mixture.
        to: The page, one self-contained .html file.
        tokenizer: A tokenizer.json; lengths are counted in tokens, too.
        evaluation: Texts that must not be trained on: .txt (one a line) or .jsonl (field "text"), also with .gz.
    """
    from ..data.contamination import read_evaluation_texts
    from .stats import collect
    from .stats_page import refuse_other_page, write_stats_page
    from .storage.store import MediStore

    refuse_other_page(to)
    texts = read_evaluation_texts(evaluation) if evaluation else None
    counted = collect(MediStore(mixture), tokenizer, texts)
    write_stats_page(counted, to, f"Mixture {mixture.name}")
    print(f"{to}: {len(counted.tasks)} tasks, {counted.rows:,} rows")


@app.command
def mine(
    file: Path,
    /,
    *,
    to: Path,
    negatives: WholeNumber = 1,
    replace: Annotated[bool, Parameter(negative="")] = False,
    rows: RowOptions = RowOptions(),  # noqa: B008
    mining: MiningOptions = MiningOptions(),  # noqa: B008
) -> None:
    """Add mined hard negatives to own pairs, or make pairs from labelled texts; writes JSON Lines.

    Texts paired with a query anywhere in the file, copies of them and rows of its label are never its negatives.

      instructor-jax medi mine faq.jsonl --to faq-mined.jsonl --negatives 5
      instructor-jax medi mine intents.csv --format labelled --to intents.jsonl \\
          --query-instruction "Represent the request for classifying the intent: "
      instructor-jax medi mine pairs.parquet --to mined.jsonl \\
          --scorer instructor:./my-model --margin 0.1

    Args:
        file: .jsonl, .csv, .tsv (each also .gz) or .parquet; columns as for import.
        to: The file of examples, which import reads.
        negatives: Hard negatives of a row, at most. Pairs that come with fewer get mined ones added; 0 mines none.
        replace: Replace a file that is there.
        rows: See RowOptions.
        mining: See MiningOptions.
    """
    from .imports import mine_file
    from .mining.scorers import scorer_from_name
    from .reports import counts_in_words

    reading = rows.reading()
    counts = mine_file(file, to, scorer_from_name(mining.scorer), mining.settings(negatives), reading, replace)
    print(f"{to}: {counts_in_words(counts)}")


def _chosen(sources: "Sequence[Source]", only: Sequence[str] | None, without: Sequence[str] | None) -> "list[Source]":
    names = chosen_tasks([source.name for source in sources], only or (), without or ())
    return [source for source in sources if source.name in names]
