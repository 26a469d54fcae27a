"""Texts as people see them in tables and pictures: on one line, cut where the room ends."""

from instructor_jax.io.printable import printable


def one_line(text: str, width: int) -> str:
    """Returns a text on one line of at most `width` characters, cut with an ellipsis, printable."""
    flat = " ".join(printable(text[: 4 * width]).split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"
