"""Plots for pages: pictures that lie within the page, drawn by Matplotlib, which is imported only here."""

import base64
import dataclasses
import io
import warnings
from collections.abc import Callable
from typing import Any

from instructor_jax.io.printable import one_line

INK = "#2b3440"
COLOURS = ("#2f6f9f", "#d9822b", "#8a8f98", "#4a9a6a", "#a05195", "#c23b3b", "#7a5c3e", "#1f9fb5")


@dataclasses.dataclass(frozen=True)
class Plot:
    """A picture within a page.

    Attributes:
        alt: What it shows, for readers who do not see it.
        source: The picture itself, as a `data:` address.
    """

    alt: str
    source: str


def plot(alt: str, draw: Callable[[Any], None], height: float) -> Plot:
    """Returns a picture of what `draw` draws on Matplotlib axes.

    Dollar signs in texts are dollar signs, not formulas.

    Args:
        alt: what it shows, for readers who do not see it.
        draw: draws on the axes that it is given.
        height: in inches, of a width of nine.

    Raises:
        ImportError: Matplotlib is absent.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("Pages with plots need matplotlib: pip install 'instructor-jax[plots]'.") from error
    image = io.BytesIO()
    with rc_context({"text.parse_math": False, "text.usetex": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # names in scripts that the font lacks
        figure = Figure(figsize=(9, height), dpi=150, layout="constrained")  # no pyplot: no global state, no display
        axes = figure.add_subplot()
        draw(axes)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#e4e8ed", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(colors=INK, labelsize=9)
        figure.savefig(image, format="png")
    return Plot(alt, f"data:image/png;base64,{base64.b64encode(image.getvalue()).decode()}")


def label(text: str, characters: int = 60) -> str:
    """Returns a text for a plot: short, on one line, and never taken for a label that Matplotlib is to leave out."""
    shown = one_line(text, characters)
    return f" {shown}" if shown.startswith("_") else shown
