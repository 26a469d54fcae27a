"""Parts of an HTML page that needs nothing else: embedded plots, tables that sort by a click, cards with figures.

Names, texts and licences come from files of strangers. So every text that goes into a page is escaped here, but for
what a function of this file made: that is `Html`. Control characters and marks that turn the direction of writing are
shown as escapes.
"""

import base64
import html
import io
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from instructor_jax.io.printable import one_line, printable

INK = "#2b3440"
COLOURS = ("#2f6f9f", "#d9822b", "#8a8f98", "#4a9a6a", "#a05195", "#c23b3b", "#7a5c3e", "#1f9fb5")


class Html(str):
    """A text that is HTML already and is not escaped again; joining it to other text makes plain text of it."""

    __slots__ = ()


def escaped(text: str) -> Html:
    """The text as HTML that shows it; `Html` stays as it is."""
    return text if isinstance(text, Html) else Html(html.escape(printable(text)))


def joined(*parts: str) -> Html:
    """Texts and pieces of HTML one after another."""
    return Html("".join(map(escaped, parts)))


def small(text: str) -> Html:
    """A remark in small letters."""
    return Html(f"<small>{escaped(text)}</small>")


def code(text: str) -> Html:
    """Something that a program says."""
    return Html(f"<code>{escaped(text)}</code>")


def paragraph(text: str) -> Html:
    """A paragraph."""
    return Html(f"<p>{escaped(text)}</p>")


def bullets(lines: Iterable[str]) -> Html:
    """A list."""
    return Html(f"<ul>{''.join(f'<li>{escaped(line)}</li>' for line in lines)}</ul>")


def narrow(text: str) -> Html:
    """A heading that may be long: headings do not wrap by themselves."""
    style = "display:inline-block;width:11em;white-space:normal;overflow-wrap:anywhere"
    return escaped(text) if len(text) <= 20 else Html(f'<span style="{style}">{escaped(text)}</span>')


def page(title: str, lead: str, sections: Iterable[str]) -> Html:
    """A page's HTML.

    Args:
        title: heading.
        lead: the line below it.
        sections: made by `cards` and `section`.
    """
    body = "\n".join(map(escaped, sections))
    return Html(_PAGE.format(title=escaped(one_line(title)), lead=escaped(lead), body=body))


def cards(values: Iterable[tuple[str, str]]) -> Html:
    """Figures side by side, each (what, value)."""
    shown = "".join(f"<div><b>{escaped(value)}</b>{escaped(what)}</div>" for what, value in values)
    return Html(f'<div class="cards">{shown}</div>')


def bar(part: int | float, whole: int | float) -> Html:
    """A bar for a table cell."""
    return Html(f'<span class="bar" style="width:{100 * part / max(whole, 1):.1f}px"></span>')


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], sortable: bool = False) -> Html:
    """A table; a sortable one sorts by a click on a heading."""
    head = "".join(f"<th>{escaped(name)}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{escaped(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    kind = ' class="sortable"' if sortable else ""
    return Html(f'<div class="wide"><table{kind}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>')


def section(title: str, note: str, *parts: str) -> Html:
    """A box with a heading, a line about it, and its parts."""
    return Html(f"<section><h2>{escaped(title)}</h2><p>{escaped(note)}</p>{joined(*parts)}</section>")


def label(text: str, characters: int = 60) -> str:
    """A text for a plot: short, on one line, and never taken for a label that Matplotlib is to leave out."""
    shown = one_line(text, characters)
    return f" {shown}" if shown.startswith("_") else shown


def plot(draw: Callable[[Any], None], height: float) -> Html:
    """An embedded picture of what `draw` draws on Matplotlib axes; `height` in inches of a width of nine.

    Dollar signs in texts are dollar signs, not formulas.

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
    return Html(f'<img alt="plot" src="data:image/png;base64,{base64.b64encode(image.getvalue()).decode()}">')


def is_our_page(path: Path) -> bool:
    """Whether a file is a page that `page` made, which may be replaced by a newer one."""
    try:
        with path.open("rb") as file:
            beginning = file.read(4096)
    except OSError:
        return False
    return beginning.startswith(_PAGE.partition("<title>")[0].encode()) and b"system-ui, sans-serif" in beginning


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #2b3440; background: #f4f6f8; margin: 0; }}
main {{ max-width: 1080px; margin: 0 auto; padding: 28px 20px 60px; }}
h1 {{ font-size: 26px; margin: 0 0 2px; }}
h2 {{ font-size: 18px; margin: 0 0 4px; }}
p {{ color: #5b6673; margin: 0 0 14px; }}
section {{ background: #fff; border: 1px solid #e1e6eb; border-radius: 10px; padding: 18px 22px; margin-top: 18px; }}
img {{ width: 100%; display: block; margin: 6px 0; }}
.cards {{ display: flex; flex-wrap: wrap; gap: 12px; margin-top: 18px; }}
.cards div {{ flex: 1 1 150px; background: #fff; border: 1px solid #e1e6eb; border-radius: 10px; padding: 12px 16px;
  color: #5b6673; font-size: 13px; }}
.cards b {{ display: block; font-size: 22px; color: #2b3440; font-weight: 600; }}
.cards small {{ font-size: 13px; font-weight: 400; color: #5b6673; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: 13px; width: 100%; }}
th {{ text-align: left; font-weight: 600; border-bottom: 2px solid #d5dce3;
  padding: 6px 10px 6px 0; white-space: nowrap; }}
td {{ border-bottom: 1px solid #edf0f3; padding: 5px 10px 5px 0; vertical-align: top;
  font-variant-numeric: tabular-nums; }}
.sortable th {{ cursor: pointer; }}
.sortable th.down::after {{ content: " \\25BE"; }}
.sortable th.up::after {{ content: " \\25B4"; }}
.bar {{ display: inline-block; height: 9px; min-width: 1px; border-radius: 2px; background: #2f6f9f; }}
code {{ background: #e8edf2; border-radius: 4px; padding: 1px 5px; }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{lead}</p>
{body}
</main>
<script>
const value = (row, column) => {{
  const text = row.cells[column].textContent.replaceAll(",", "").replace("%", "");
  return text !== "" && !isNaN(text) ? Number(text) : text;
}};
for (const head of document.querySelectorAll(".sortable th")) head.addEventListener("click", () => {{
  const column = head.cellIndex, body = head.closest("table").tBodies[0], down = !head.classList.contains("down");
  for (const other of head.parentNode.cells) other.classList.remove("down", "up");
  head.classList.add(down ? "down" : "up");
  const order = (a, b) => typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
  const rows = [...body.rows].sort((a, b) => (down ? -1 : 1) * order(value(a, column), value(b, column)));
  body.append(...rows);
}});
</script>
</body>
</html>
"""
