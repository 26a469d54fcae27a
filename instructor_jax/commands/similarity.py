"""`instructor-jax similarity`: cosine similarities of a few texts, or of the pairs in a file, for a person to read."""

import json
import shutil
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter
from jaxtyping import Float

from instructor_jax.commands.loading import ModelOptions, load_model
from instructor_jax.commands.tables import FormatName, Table, open_table
from instructor_jax.quantization import unit_length

# Column names by which public sets of sentence pairs usually go.
_PAIR_NAMES = (("sentence1", "sentence2"), ("text1", "text2"), ("query", "document"), ("premise", "hypothesis"))


def similarity(
    *texts: str,
    pairs: Path | None = None,
    columns: Annotated[tuple[str, str] | None, Parameter(negative="")] = None,
    instruction: Annotated[str | None, Parameter(name=["--instruction", "-i"])] = None,
    format: FormatName | None = None,
    header: bool = True,
    json_output: Annotated[bool, Parameter(name="--json", negative="")] = False,
    heatmap: Path | None = None,
    model: ModelOptions = ModelOptions(),  # noqa: B008 - frozen
) -> None:
    """Compare texts under an instruction: 1 is the same, 0 unrelated.

    Texts are given one by one, or as pairs in a file:

      instructor-jax similarity "A cat sits on the mat" "A kitten rests on a rug" \\
          "Stocks fell on Monday" --model hkunlp/instructor-base \\
          --instruction "Represent the sentence for clustering: "

      instructor-jax similarity --pairs pairs.tsv --no-header -m ./my-model

    Args:
        texts: Two or more texts.
        pairs: File whose rows hold two texts to compare (.csv, .tsv, .jsonl, .parquet), instead of texts.
        columns: Names of the two columns of --pairs; by default the only two, or sentence1 and sentence2 and the like.
        instruction: Instruction for all texts, as the model was trained with: "Represent the ... for ...: ".
        format: How to read --pairs; by default its suffix decides.
        header: Whether the first record of .csv and .tsv names the columns; without, they are called 1, 2, 3.
        json_output: Print JSON for machines.
        heatmap: Also draw the matrix into a .png, .svg or .pdf (needs matplotlib).
        model: See ModelOptions.
    """
    if (pairs is None) == (not texts):
        raise ValueError('give either texts, for example "A cat" "A dog", or a file of pairs with --pairs')
    if pairs is not None:
        if heatmap is not None:
            raise ValueError("--heatmap draws the matrix of texts; it does not go with --pairs")
        with open_table(pairs, format=format, header=header) as table:
            rows = _read_pairs(table, columns)
        embedder = load_model(model)
        sides = [unit_length(embedder.encode([row[side] for row in rows], instruction=instruction)) for side in (0, 1)]
        _print_pairs(rows, (sides[0] * sides[1]).sum(axis=1), json_output)
        return
    if len(texts) < 2:
        raise ValueError(f"similarity needs at least two texts, got {len(texts)}")
    if heatmap is not None:
        from instructor_jax.commands.heatmap import draw_heatmap, require_matplotlib

        require_matplotlib()  # before the model is loaded
    vectors = unit_length(load_model(model).encode(list(texts), instruction=instruction, show_progress_bar=False))
    scores = vectors @ vectors.T
    if heatmap is not None:
        draw_heatmap(scores, list(texts), heatmap, title=instruction or "")
    if json_output:
        matrix = {"instruction": instruction, "texts": list(texts), "similarity": _rounded(scores)}
        print(json.dumps(matrix, ensure_ascii=False, indent=1))
    elif len(texts) == 2:
        _print_pairs([(texts[0], texts[1])], scores[:1, 1], as_json=False)
    else:
        print(matrix_text(scores, list(texts), shutil.get_terminal_size().columns))


def matrix_text(scores: Float[np.ndarray, "rows rows"], texts: list[str], width: int) -> str:
    """The matrix with numbered rows and columns, each row ended by its text, cut to `width` characters."""
    count = len(texts)
    lines = ["    " + "".join(f"{k + 1:>8}" for k in range(count))]
    for k in range(count):
        row = f"{k + 1:>3} " + "".join(f"{score:8.4f}" for score in scores[k])
        lines.append(f"{row}  {one_line(texts[k], max(width - len(row) - 2, 20))}")
    return "\n".join(lines)


def one_line(text: str, width: int) -> str:
    """A text on one line of at most `width` characters, cut with an ellipsis."""
    flat = " ".join(text[: 4 * width].split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def _read_pairs(table: Table, columns: tuple[str, str] | None) -> list[tuple[str, str]]:
    if columns is None:
        usual = [pair for pair in _PAIR_NAMES if set(pair) <= set(table.columns)]
        if not usual and len(table.columns) != 2:
            raise ValueError(f"{table.name}: which two columns? name them with --columns: {', '.join(table.columns)}")
        first, second = usual[0] if usual else table.columns
        columns = (first, second)
    for column in columns:
        if column not in table.columns:
            raise ValueError(f"{table.name}: has no column {column!r}; its columns: {', '.join(table.columns)}")
    rows = []
    for number, values in table.records(columns):
        if not all(type(value) is str for value in values):
            raise ValueError(f"{table.name}, {table.unit} {number}: {columns} must hold text, got {values}")
        rows.append((values[0], values[1]))
    if not rows:
        raise ValueError(f"{table.name}: holds no rows")
    return rows


def _print_pairs(rows: list[tuple[str, str]], scores: Float[np.ndarray, " rows"], as_json: bool) -> None:
    if as_json:
        pairs = [{"texts": row, "similarity": score} for row, score in zip(rows, _rounded(scores), strict=True)]
        print(json.dumps(pairs, ensure_ascii=False, indent=1))
        return
    width = max((shutil.get_terminal_size().columns - 12) // 2, 20)
    for (left, right), score in zip(rows, scores, strict=True):
        print(f"{score:8.4f}  {one_line(left, width):<{width}}  {one_line(right, width)}")


def _rounded(scores: Float[np.ndarray, "..."]) -> list:
    return np.round(scores.astype(np.float64), 6).tolist()  # float32 has no more than that to say
