"""Search results as one HTML page that needs no network: no script, no font, no picture from elsewhere."""

from pathlib import Path
from typing import Any

from instructor_jax.commands.nearest import Hit
from instructor_jax.pages.own_pages import is_our_page
from instructor_jax.pages.render import render

_MAKER = "instructor-jax search --html"


def search_page(queries: list[str], hits: list[list[Hit]], *, corpus: str, model: str) -> str:
    """Returns the whole page: for each query a table of rank, score (with a bar), id or row, text.

    Args:
        queries: the texts searched for.
        hits: for each query what was found, best first, with payloads (id or None, text).
        corpus: name of the corpus.
        model: name of the model.
    """
    searches = [
        {"query": query, "note": _note(found), "hits": [_entry(hit, found) for hit in found]}
        for query, found in zip(queries, hits, strict=True)
    ]
    figures = [("queries", f"{len(queries):,}"), ("texts found", f"{sum(map(len, hits)):,}")]
    shown = {"title": queries[0][:80], "corpus": corpus, "model": model, "searches": searches, "maker": _MAKER}
    return render("instructor_jax.commands", "search_page.html.jinja", figures=figures, **shown)


def is_search_page(path: Path) -> bool:
    """Returns whether a file is a page that `search --html` wrote: its head says so."""
    return is_our_page(path, _MAKER)


def _note(hits: list[Hit]) -> str:
    """Returns the line below a query: between which similarities its hits lie."""
    if not hits:
        return "Nothing was found."
    return f"{len(hits):,} nearest, from {hits[0].score:.4f} to {hits[-1].score:.4f}."


def _entry(hit: Hit, hits: list[Hit]) -> dict[str, Any]:
    identifier, text = hit.payload
    name = f"row {hit.row + 1}" if identifier is None else str(identifier)
    # Similarities of T5 models lie close together; a bar from 0 would show nothing.
    lowest, best = hits[-1].score, hits[0].score
    share = 100.0 if best <= lowest else 15 + 85 * (hit.score - lowest) / (best - lowest)
    return {"score": hit.score, "share": share, "name": name, "text": text}
