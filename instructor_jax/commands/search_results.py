"""What `search` found, as lines for a terminal and as JSON."""

from typing import Any

from instructor_jax.commands.nearest import Hit
from instructor_jax.io.printable import excerpt


def hits_text(query: str, hits: list[Hit], width: int) -> str:
    """Returns one query and its hits, a line each: rank, score, row from 1 or id, text cut to `width` characters."""
    names = [f"row {hit.row + 1}" if hit.payload[0] is None else excerpt(hit.payload[0], 24) for hit in hits]
    widest = max(map(len, names), default=0)
    lines = [excerpt(query, width)]
    for rank, (hit, name) in enumerate(zip(hits, names, strict=True), start=1):
        start = f"{rank:4}  {hit.score:7.4f}  {name:<{widest}}  "
        lines.append(start + excerpt(hit.payload[1], max(width - len(start), 20)))
    return "\n".join(lines)


def hits_json(texts: list[str], hits: list[list[Hit]], model: str, corpus: str) -> dict[str, Any]:
    """Returns all queries with their hits as one JSON value."""
    results = [
        {
            "query": text,
            "hits": [
                {
                    "rank": rank,
                    "score": round(hit.score, 6),
                    "row": hit.row,
                    "id": hit.payload[0],
                    "text": hit.payload[1],
                }
                for rank, hit in enumerate(found, start=1)
            ],
        }
        for text, found in zip(texts, hits, strict=True)
    ]
    return {"model": model, "corpus": corpus, "results": results}
