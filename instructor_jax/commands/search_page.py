"""Search results as one HTML page that needs no network: no script, no font, no picture from elsewhere.

Everything that comes from files (texts, ids, names) is escaped; a text with tags in it is shown, not obeyed.
"""

import html
from pathlib import Path

from instructor_jax.commands.nearest import Hit
from instructor_jax.io.printable import printable

_MARK = "instructor-jax search --html"
_STYLE = """
:root { color-scheme: light dark; --faint: #8884; --bar: #4a8fe7; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; white-space: pre-wrap; }
p.made { opacity: .7; } table { border-collapse: collapse; width: 100%; }
td { padding: .35rem .6rem; border-top: 1px solid var(--faint); vertical-align: top; }
td.rank, td.score, td.name { white-space: nowrap; font-variant-numeric: tabular-nums; }
td.score { width: 7rem; } td.text { white-space: pre-wrap; overflow-wrap: anywhere; }
.bar { height: .3rem; background: var(--faint); border-radius: 2px; } 
.bar div { height: 100%; background: var(--bar); border-radius: 2px; }
"""


def search_page(queries: list[str], hits: list[list[Hit]], *, corpus: str, model: str) -> str:
    """The whole page: for each query a table of rank, score (with a bar), id or row, text.

    Args:
        queries: the texts searched for.
        hits: for each query what was found, best first, with payloads (id or None, text).
        corpus: name of the corpus.
        model: name of the model.
    """
    sections = "\n".join(_section(query, found) for query, found in zip(queries, hits, strict=True))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="generator" content="{_MARK}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_shown(queries[0][:80])}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Nearest texts of {_shown(corpus)}</h1>
<p class="made">Cosine similarities by {_shown(model)}. Bars compare the hits of one query.</p>
{sections}
</body>
</html>
"""


def is_search_page(path: Path) -> bool:
    """Whether a file is a page that `search --html` wrote: its head says so."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return f'<meta name="generator" content="{_MARK}">'.encode("ascii") in file.read(4096)


def _shown(text: str) -> str:
    """A text as HTML, its tags and control characters shown."""
    return html.escape(printable(text))


def _section(query: str, hits: list[Hit]) -> str:
    rows = "\n".join(_row(rank, hit, hits) for rank, hit in enumerate(hits, start=1))
    return f"<h2>{_shown(query)}</h2>\n<table>\n{rows}\n</table>"


def _row(rank: int, hit: Hit, hits: list[Hit]) -> str:
    identifier, text = hit.payload
    name = f"row {hit.row + 1}" if identifier is None else str(identifier)
    # Similarities of T5 models lie close together; a bar from 0 would show nothing.
    lowest, best = hits[-1].score, hits[0].score
    share = 100.0 if best <= lowest else 15 + 85 * (hit.score - lowest) / (best - lowest)
    return (
        f'<tr><td class="rank">{rank}</td>'
        f'<td class="score">{hit.score:.4f}<div class="bar"><div style="width:{share:.0f}%"></div></div></td>'
        f'<td class="name">{_shown(name)}</td><td class="text">{_shown(text)}</td></tr>'
    )
