"""A picture of a similarity matrix; needs matplotlib, which is imported only here."""

import textwrap
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from instructor_jax.io.atomic import whole_file
from instructor_jax.io.printable import excerpt, printable

# In each format the key under which Matplotlib stores what made the file.
_FORMATS = {".png": "Software", ".svg": "Creator", ".pdf": "Creator"}
_MARK = "instructor-jax similarity --heatmap"
_LOOKED_AT = 1 << 16


def _label(text: str, lines: int) -> str:
    """Returns a text in so many lines of forty characters."""
    return "\n".join(textwrap.wrap(excerpt(text, 40 * lines), 40)) if text.strip() else excerpt(text, 40)


def require_matplotlib() -> Any:
    """Returns Matplotlib's drawing module.

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


def require_format(path: Path) -> None:
    """Refuses a picture of another kind.

    Raises:
        ValueError: the suffix of `path` is not .png, .svg or .pdf.
    """
    if path.suffix not in _FORMATS:
        raise ValueError(
            f"{path}: unknown suffix {path.suffix!r} of a picture; it must be one of {', '.join(_FORMATS)}"
        )


def is_heatmap(path: Path) -> bool:
    """Returns whether a file is a picture that `draw_heatmap` made: it says so near its beginning or its end."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(_LOOKED_AT)
        file.seek(max(path.stat().st_size - _LOOKED_AT, 0))
        return _MARK.encode("ascii") in start + file.read(_LOOKED_AT)


def draw_heatmap(scores: Float[np.ndarray, "rows rows"], texts: list[str], path: Path, *, title: str) -> None:
    """Draws the matrix with its texts as labels and, up to 12 texts, its values.

    Raises:
        ValueError: the suffix of `path` is not .png, .svg or .pdf.
        ImportError: matplotlib is absent.
    """
    require_format(path)
    pyplot = require_matplotlib()
    count = len(texts)
    labels = [_label(text, lines=2 if count <= 30 else 1) for text in texts]
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
    axes.set_title(printable(title), fontsize=9, parse_math=False)
    figure.colorbar(image, label="cosine similarity", shrink=0.8)
    try:
        with whole_file(path) as beside, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")  # a script that the font lacks is drawn as boxes
            made_by = {_FORMATS[path.suffix]: _MARK}
            figure.savefig(beside, dpi=150, format=path.suffix[1:], metadata=made_by)
    finally:
        pyplot.close(figure)
