"""A picture of a similarity matrix; needs matplotlib, which is imported only here."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from instructor_jax.commands.similarity import one_line
from instructor_jax.commands.whole_files import whole_file

_FORMATS = (".png", ".svg", ".pdf")


def require_matplotlib() -> Any:
    """The drawing module.

    Raises:
        ImportError: matplotlib is absent.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError("--heatmap needs matplotlib: pip install 'instructor-jax[plots]'") from error
    matplotlib.use("agg")  # files only; no display is needed
    from matplotlib import pyplot

    return pyplot


def draw_heatmap(scores: Float[np.ndarray, "rows rows"], texts: list[str], path: Path, *, title: str) -> None:
    """Draw the matrix with its texts as labels and, up to 12 texts, its values.

    Raises:
        ValueError: the suffix of `path` is not .png, .svg or .pdf.
        ImportError: matplotlib is absent.
    """
    if path.suffix not in _FORMATS:
        raise ValueError(
            f"{path}: unknown suffix {path.suffix!r} of a picture; it must be one of {', '.join(_FORMATS)}"
        )
    pyplot = require_matplotlib()
    count = len(texts)
    labels = [one_line(text, 40) for text in texts]
    side = 3.5 + 0.55 * min(count, 40)
    figure, axes = pyplot.subplots(figsize=(side + 2, side), layout="constrained")
    # The colours span what is there: under one instruction all similarities of T5 models lie close together.
    image = axes.imshow(scores, cmap="viridis", vmin=float(scores.min()), vmax=1.0)
    axes.set_xticks(range(count), labels, rotation=40, ha="right", fontsize=8, parse_math=False)  # "$" is a dollar
    axes.set_yticks(range(count), labels, fontsize=8, parse_math=False)
    if count <= 12:
        middle = (float(scores.min()) + 1.0) / 2
        for row, column in np.ndindex(count, count):
            score = scores[row, column]
            colour = "black" if score > middle else "white"
            axes.text(column, row, f"{score:.2f}", ha="center", va="center", fontsize=8, color=colour)
    axes.set_title(title, fontsize=9, parse_math=False)
    figure.colorbar(image, label="cosine similarity", shrink=0.8)
    try:
        with whole_file(path) as beside, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")  # a script that the font lacks is drawn as boxes
            figure.savefig(beside, dpi=150, format=path.suffix[1:])
    finally:
        pyplot.close(figure)
