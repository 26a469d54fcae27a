"""`instructor-jax compare-instructions`: which of several instructions serves a user's own small labelled file best."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from instructor_jax.evaluation.studies.labelled_files import read_labelled_file
from instructor_jax.evaluation.studies.ranking import rank
from instructor_jax.evaluation.studies.ranking_report import as_json, as_page, as_text
from instructor_jax.io.atomic import whole_file
from instructor_jax.io.json_files import read_json
from instructor_jax.io.ownership import Claim, check_claims
from instructor_jax.io.printable import printable
from instructor_jax.io.tables.tables import FormatName, open_table
from instructor_jax.model_options import ModelOptions, load_model
from instructor_jax.option_types import WholeNumber
from instructor_jax.pages.own_pages import is_our_page


def compare_instructions(
    file: Path,
    *,
    instruction: Annotated[
        tuple[str, ...], Parameter(name=["--instruction", "-i"], negative="", show_default=False)
    ] = (),
    instructions_file: Path | None = None,
    document_instruction: str | None = None,
    baseline: bool = True,
    output: Path | None = None,
    format: FormatName | None = None,
    resamples: WholeNumber = 1000,
    seed: WholeNumber = 0,
    model: ModelOptions = ModelOptions(),  # noqa: B008 - frozen
) -> None:
    """Rank instructions on a small labelled file.

    The columns of the file decide what is measured:

      text,label          is the nearest other text of the same label?
      query,positive      how far up is a query's own text among all?
      text1,text2,score   do similarities order the pairs as the scores do?

    A few hundred rows tell instructions apart that differ by some percent:

      instructor-jax compare-instructions tickets.csv -m hkunlp/instructor-base \\
          -i "Represent the support ticket for classification: " \\
          -i "Represent the message for identifying the product: "

      instructor-jax compare-instructions faq.jsonl -m ./my-model \\
          --instructions-file candidates.txt --output report \\
          --document-instruction "Represent the answer for retrieval: "

    Args:
        file: Labelled rows (.csv, .tsv, .jsonl, .parquet).
        instruction: A candidate; give the option once for each.
        instructions_file: Candidates, one a line (.txt), or a column `instruction` (.csv, .jsonl). Blanks count.
        document_instruction: Instruction of the positives of query,positive; by default the candidate itself.
        baseline: Also measure no instruction at all.
        output: Write OUTPUT.json and OUTPUT.html too.
        format: How to read the file; by default its suffix decides.
        resamples: Bootstrap resamples behind the intervals.
        seed: Random seed of the resamples.
        model: See ModelOptions.
    """
    _require_packages(with_page=output is not None)
    if resamples < 1:
        raise ValueError(f"--resamples {resamples} must be at least 1")
    candidates = _candidates(instruction, instructions_file, baseline)
    labelled = read_labelled_file(file, format=format)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        _refuse_others(output, [file, *([instructions_file] if instructions_file else []), Path(model.model)])
    ranking = rank(load_model(model), labelled, candidates, document_instruction, resamples=resamples, seed=seed)
    print(printable(as_text(ranking, labelled)))
    if output is not None:
        facts = {
            "file": str(file),
            "model": model.model,
            "rows": labelled.rows,
            "metric": labelled.metric,
            "document_instruction": document_instruction,
            "resamples": resamples,
            "seed": seed,
        }
        for suffix, content in ((".json", as_json(ranking, facts)), (".html", as_page(ranking, facts))):
            with whole_file(_with(output, suffix)) as beside:
                beside.write_text(content, encoding="utf-8")
        print(f"\nwrote {output}.json and {output}.html")


def _refuse_others(output: Path, inputs: Sequence[Path]) -> None:
    """Refuses to replace the input, or files that are no earlier comparison."""
    claims = [Claim(_with(output, ".json"), _is_ranking), Claim(_with(output, ".html"), is_our_page)]
    check_claims(claims, inputs=inputs)


def _with(output: Path, suffix: str) -> Path:
    return output.with_name(output.name + suffix)


def _is_ranking(path: Path) -> bool:
    try:
        return {"ranking", "metric"} <= set(read_json(path))
    except (ValueError, OSError):
        return False


def _candidates(given: Sequence[str], file: Path | None, baseline: bool) -> list[str]:
    """Returns all candidates, each once, in the order given; no instruction at all comes last."""
    candidates = list(given)
    if file is not None:
        with open_table(file) as lines:
            column = "instruction" if "instruction" in lines.columns else "text"
            if column not in lines.columns:
                raise ValueError(f"{lines.name}: has no column 'instruction'; its columns: {', '.join(lines.columns)}")
            for number, (value,) in lines.records([column]):
                if not isinstance(value, str):
                    raise ValueError(f"{lines.name}, {lines.unit} {number}: an instruction must be text, got {value!r}")
                candidates.append(value)
    candidates = [candidate for candidate in dict.fromkeys(candidates) if candidate.strip()]
    if not candidates:
        raise ValueError("no candidates; give --instruction once for each, or --instructions-file")
    return [*candidates, ""] if baseline else candidates


def _require_packages(*, with_page: bool) -> None:
    try:
        import scipy.stats  # noqa: F401
        import sklearn.neighbors  # noqa: F401

        if with_page:
            import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ImportError(f"compare-instructions needs {error.name}: pip install 'instructor-jax[eval]'") from error
