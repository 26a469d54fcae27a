"""`instructor-jax compare-instructions`: which of several instructions serves a user's own small labelled file best.

Rows are few, so the table says how sure it is: a bootstrap interval of each figure, and one of its distance to the
leader on the same resamples. An instruction whose distance may be zero is not shown to be worse.
"""

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter
from tqdm import tqdm

from instructor_jax.evaluation.studies.labelled_files import LabelledFile, read_labelled_file
from instructor_jax.html import COLOURS, bar, bullets, is_our_page, joined, label, page, plot, section, table
from instructor_jax.io.atomic import whole_file
from instructor_jax.io.json_files import read_json
from instructor_jax.io.printable import printable
from instructor_jax.io.tables.tables import FormatName, open_table
from instructor_jax.model_options import Embedder, ModelOptions, load_model
from instructor_jax.text.instructions import lint_instruction

_NONE = "(none)"
_CONFIDENCE = 95  # percent


@dataclasses.dataclass(frozen=True)
class Ranked:
    """One instruction's place.

    Attributes:
        instruction: as it was given; "" is none.
        score: percent.
        interval: of the score, percent.
        behind: (least, most) that it lies behind the leader, percent points; None for the leader.
        more: further figures in percent.
        remarks: what is unlike the instructions that published models were trained on.
    """

    instruction: str
    score: float
    interval: tuple[float, float]
    behind: tuple[float, float] | None
    more: dict[str, float]
    remarks: list[str]


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
    resamples: int = 1000,
    seed: int = 0,
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
        seed: Of the resamples.
        model: See ModelOptions.
    """
    _require_packages(with_page=output is not None)
    if resamples < 1:
        raise ValueError(f"--resamples {resamples} must be at least 1")
    candidates = _candidates(instruction, instructions_file, baseline)
    labelled = read_labelled_file(file, format=format)
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
        _refuse_others(output)
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
        for suffix, content in ((".json", _as_json(ranking, facts)), (".html", as_page(ranking, facts))):
            with whole_file(_with(output, suffix)) as beside:
                beside.write_text(content, encoding="utf-8")
        print(f"\nwrote {output}.json and {output}.html")


def rank(
    embedder: Embedder,
    labelled: LabelledFile,
    candidates: Sequence[str],
    document_instruction: str | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> list[Ranked]:
    """Measures every candidate and ranks them, best first; of equals the one given first.

    Args:
        embedder: a loaded model.
        labelled: the rows.
        candidates: instructions.
        document_instruction: of the second side of `query,positive`; None is the candidate itself.
        resamples: of the rows, with replacement, the same for all candidates.
        seed: of the resamples.
    """
    draws = np.random.default_rng(seed).integers(labelled.rows, size=(resamples, labelled.rows))

    def encoder(instruction: str):
        return lambda texts: embedder.encode(texts, instruction=instruction, show_progress_bar=False)

    measured = []
    for candidate in tqdm(candidates, desc="instructions", disable=None, dynamic_ncols=True):
        other = candidate if document_instruction is None else document_instruction
        measured.append(labelled.measure(encoder(candidate), encoder(other), draws))
    order = sorted(range(len(candidates)), key=lambda number: -measured[number].score)
    leader = measured[order[0]]
    return [
        Ranked(
            candidates[number],
            measured[number].score,
            _interval(measured[number].resampled),
            None if number == order[0] else _interval(leader.resampled - measured[number].resampled),
            measured[number].more,
            lint_instruction(candidates[number]),
        )
        for number in order
    ]


def as_text(ranking: Sequence[Ranked], labelled: LabelledFile) -> str:
    """The table for a terminal, and below it what is unusual about the instructions."""
    names = list(ranking[0].more)
    heads = ["rank", labelled.metric, f"{_CONFIDENCE} % interval", "behind the leader", *names, "instruction"]
    rows = [[str(number), *_cells(entry), _shown(entry)] for number, entry in enumerate(ranking, start=1)]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (heads, *rows)]
    remarks = [f"{_shown(entry)} {remark}" for entry in ranking for remark in entry.remarks]
    return "\n".join([f"{labelled.rows} rows", *(line.rstrip() for line in lines), *remarks])


def as_page(ranking: Sequence[Ranked], facts: dict[str, Any]) -> str:
    """The same as an HTML page that needs nothing else."""
    names = list(ranking[0].more)
    best = max(abs(entry.score) for entry in ranking)
    rows = [
        [str(number), joined(f"{cells[0]} ", bar(max(entry.score, 0), best)), *cells[1:], _shown(entry)]
        for number, entry in enumerate(ranking, start=1)
        for cells in [_cells(entry)]
    ]
    heads = ["rank", facts["metric"], f"{_CONFIDENCE} % interval", "behind the leader", *names]

    def draw(axes: Any) -> None:
        places = range(len(ranking), 0, -1)
        for place, entry in zip(places, ranking, strict=True):
            axes.plot(entry.interval, (place, place), color=COLOURS[0], linewidth=2)
            axes.plot(entry.score, place, "o", color=COLOURS[1])
        axes.set_yticks(list(places), [label(_shown(entry)) for entry in ranking])
        axes.set_xlabel(f"{facts['metric']}, percent")

    remarks = [f"{_shown(entry)} {text}" for entry in ranking for text in entry.remarks]
    lead = f"{facts['file']}, {facts['rows']} rows, by {facts['model']}"
    note = (
        f"Lines are {_CONFIDENCE} % bootstrap intervals ({facts['resamples']} resamples of the rows). An instruction "
        "whose distance to the leader may be zero is not shown to be worse."
    )
    sections = [section("Ranking", note, table([*heads, "instruction"], rows), plot(draw, 1 + 0.4 * len(ranking)))]
    if remarks:
        note = "What is unlike the instructions that the published models were trained on."
        sections.append(section("Remarks", note, bullets(remarks)))
    return page("Instructions compared", lead, sections)


def _refuse_others(output: Path) -> None:
    """Refuses to replace files that are no earlier comparison."""
    for path, ours in ((_with(output, ".json"), _is_ranking), (_with(output, ".html"), is_our_page)):
        if os.path.lexists(path) and not ours(path):
            raise FileExistsError(f"{path} exists and is no comparison of instructions; name another --output.")


def _with(output: Path, suffix: str) -> Path:
    return output.with_name(output.name + suffix)


def _is_ranking(path: Path) -> bool:
    try:
        return {"ranking", "metric"} <= set(read_json(path))
    except (ValueError, OSError):
        return False


def _candidates(given: Sequence[str], file: Path | None, baseline: bool) -> list[str]:
    """All candidates, each once, in the order given; no instruction at all comes last."""
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


def _interval(values: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values, [(100 - _CONFIDENCE) / 2, (100 + _CONFIDENCE) / 2])
    return float(low), float(high)


def _shown(entry: Ranked) -> str:
    """An instruction in quotation marks, which show the blanks at its end."""
    text = " ".join(entry.instruction.splitlines()) if len(entry.instruction.splitlines()) > 1 else entry.instruction
    return f'"{text}"' if text else _NONE


def _cells(entry: Ranked) -> list[str]:
    behind = f"{entry.behind[0]:.1f} to {entry.behind[1]:.1f}" if entry.behind else ""
    interval = f"{entry.interval[0]:.1f} to {entry.interval[1]:.1f}"
    return [f"{entry.score:.2f}", interval, behind, *(f"{value:.2f}" for value in entry.more.values())]


def _as_json(ranking: Sequence[Ranked], facts: dict[str, Any]) -> str:
    entries = [dataclasses.asdict(entry) for entry in ranking]
    return json.dumps({**facts, "ranking": entries}, indent=1, ensure_ascii=False) + "\n"


def _require_packages(*, with_page: bool) -> None:
    try:
        import scipy.stats  # noqa: F401
        import sklearn.neighbors  # noqa: F401

        if with_page:
            import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ImportError(f"compare-instructions needs {error.name}: pip install 'instructor-jax[eval]'") from error
