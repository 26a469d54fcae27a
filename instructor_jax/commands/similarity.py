"""`instructor-jax similarity`: cosine similarities of a few texts, or of the pairs in a file, for a person to read."""

import dataclasses
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Group, Parameter
from jaxtyping import Float

from instructor_jax.commands.console import say, say_json, terminal_width
from instructor_jax.commands.table_options import TableOptions
from instructor_jax.inference.quantization import unit_length
from instructor_jax.io.bounds import ROWS, TEXTS_CHARACTERS
from instructor_jax.io.json_files import shown_value
from instructor_jax.io.ownership import require_new_or_replaceable
from instructor_jax.io.printable import excerpt
from instructor_jax.io.tables.records import Table, listed
from instructor_jax.model_options import Embedder, ModelOptions, load_model, model_name

_BLOCK = 8192  # pairs that are encoded together
# Column names by which public sets of sentence pairs usually go.
_PAIR_NAMES = (("sentence1", "sentence2"), ("text1", "text2"), ("query", "document"), ("premise", "hypothesis"))


@Parameter(name="*", group=Group("Input", sort_key=1))
@dataclasses.dataclass(frozen=True, kw_only=True)
class PairOptions(TableOptions):
    """A table of pairs of texts.

    Attributes:
        pairs: File whose rows hold two texts to compare (.csv, .tsv, .jsonl, .parquet or a folder of it).
        columns: Names of the two columns of --pairs; by default the only two, or sentence1 and sentence2 and the like.
        format: How to read the file; by default its suffix decides (standard input: txt, one text a line).
        header: Whether the first record of .csv and .tsv names the columns; without, they are called 1, 2, 3.
        quotes: Whether quotation marks of .csv and .tsv enclose fields; without, they are plain characters.
        delimiter: Between fields of .csv and .tsv: comma, semicolon, tab, pipe, space, any character; found by default.
    """

    pairs: Path | None = None
    columns: Annotated[tuple[str, str] | None, Parameter(negative="")] = None


def similarity(
    *texts: str,
    instruction: Annotated[str | None, Parameter(name=["--instruction", "-i"])] = None,
    json_output: Annotated[bool, Parameter(name="--json", negative="")] = False,
    heatmap: Path | None = None,
    overwrite: Annotated[bool, Parameter(negative="")] = False,
    paired: PairOptions = PairOptions(),
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
        instruction: Instruction for all texts, as the model was trained with: "Represent the ... for ...: ".
        json_output: Print JSON for machines.
        heatmap: Also draw the matrix into a .png, .svg or .pdf (needs matplotlib); an earlier one is replaced.
        overwrite: Let --heatmap replace a file that is no heat map of this command.
        paired: See PairOptions.
        model: See ModelOptions.
    """
    pairs = paired.pairs
    if (pairs is None) == (not texts):
        raise ValueError('give either texts, for example "A cat" "A dog", or a file of pairs with --pairs')
    name = model_name(model)
    if pairs is not None:
        if heatmap is not None:
            raise ValueError("--heatmap draws the matrix of texts; it does not go with --pairs")
        with paired.open(pairs) as table:
            rows = _read_pairs(table, paired.columns)
        _print_pairs(rows, _pair_scores(load_model(model), rows, instruction), json_output)
        return
    if len(texts) < 2:
        raise ValueError(f"similarity needs at least two texts, got {len(texts)}")
    if heatmap is not None:
        from instructor_jax.commands.heatmap import draw_heatmap, is_heatmap, require_format, require_matplotlib

        require_format(heatmap)  # all of it before the model is loaded
        require_new_or_replaceable(heatmap, is_heatmap, inputs=[Path(name)], overwrite=overwrite, option="--overwrite")
        require_matplotlib()
    vectors = load_model(model).encode(list(texts), instruction=instruction, show_progress_bar=False)
    vectors = unit_length(require_finite(vectors, "text"))
    scores = vectors @ vectors.T
    if heatmap is not None:
        draw_heatmap(scores, list(texts), heatmap, title=instruction or "")
    if json_output:
        matrix = {"instruction": instruction, "texts": list(texts), "similarity": _rounded(scores)}
        say_json(matrix)
    elif len(texts) == 2:
        _print_pairs([(texts[0], texts[1])], scores[:1, 1], as_json=False)
    else:
        say(matrix_text(scores, list(texts), terminal_width()))


def matrix_text(scores: Float[np.ndarray, "rows rows"], texts: list[str], width: int) -> str:
    """The matrix with numbered rows and columns, each row ended by its text, cut to `width` characters."""
    count = len(texts)
    lines = ["    " + "".join(f"{k + 1:>8}" for k in range(count))]
    for k in range(count):
        row = f"{k + 1:>3} " + "".join(f"{score:8.4f}" for score in scores[k])
        lines.append(f"{row}  {excerpt(texts[k], max(width - len(row) - 2, 20))}")
    return "\n".join(lines)


def _read_pairs(table: Table, columns: tuple[str, str] | None) -> list[tuple[str, str]]:
    if columns is None:
        usual = [pair for pair in _PAIR_NAMES if set(pair) <= set(table.columns)]
        if not usual and len(table.columns) != 2:
            raise ValueError(f"{table.name}: which two columns? name them with --columns: {listed(table.columns)}")
        first, second = usual[0] if usual else table.columns
        columns = (first, second)
    for column in columns:
        if column not in table.columns:
            raise ValueError(f"{table.name}: has no column {column!r}; its columns: {listed(table.columns)}")
    rows, characters = [], 0
    for number, values in table.records(columns):
        for column, value in zip(columns, values, strict=True):
            if type(value) is not str:
                raise ValueError(
                    f"{table.name}, {table.unit} {number}: column {column!r} must hold text, got {shown_value(value)}"
                )
            characters += len(value)
        rows.append((values[0], values[1]))
        if len(rows) > ROWS or characters > TEXTS_CHARACTERS:
            raise ValueError(
                f"{table.name}: has more than {ROWS:,} pairs or {TEXTS_CHARACTERS:,} characters, too many to be held "
                "in memory; split the file, or encode its columns: instructor-jax encode"
            )
    if not rows:
        raise ValueError(f"{table.name}: holds no rows")
    return rows


def require_finite(vectors: np.ndarray, what: str, before: int = 0) -> np.ndarray:
    """The vectors, where all their numbers are finite.

    Args:
        vectors: [n, dim].
        what: what they belong to, for the message.
        before: how many vectors came before them.

    Raises:
        ValueError: one is not finite; with its number, counted from 1.
    """
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        row = before + int(np.argmin(finite)) + 1
        raise ValueError(f"{what} {row}: its vector is not finite; are the model's weights damaged?")
    return vectors


def _pair_scores(
    embedder: Embedder, rows: list[tuple[str, str]], instruction: str | None
) -> Float[np.ndarray, " rows"]:
    """Cosine similarities, in blocks, so that the vectors of all rows are never there together."""
    scores = []
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        sides = [embedder.encode([row[side] for row in block], instruction=instruction) for side in (0, 1)]
        one, other = (unit_length(require_finite(side, "pair", start)) for side in sides)
        scores.append((one * other).sum(axis=1))
    return np.concatenate(scores)


def _print_pairs(rows: list[tuple[str, str]], scores: Float[np.ndarray, " rows"], as_json: bool) -> None:
    if as_json:
        say_json([{"texts": row, "similarity": score} for row, score in zip(rows, _rounded(scores), strict=True)])
        return
    width = max((terminal_width() - 12) // 2, 20)
    for (left, right), score in zip(rows, scores, strict=True):
        say(f"{score:8.4f}  {excerpt(left, width):<{width}}  {excerpt(right, width)}")


def _rounded(scores: Float[np.ndarray, "..."]) -> list:
    return np.round(scores.astype(np.float64), 6).tolist()  # float32 has no more than that to say
