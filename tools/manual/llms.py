"""`llms.txt` (https://llmstxt.org): the pages of the site as a list of links in Markdown, for programs."""

from pathlib import Path
from typing import Any

HEAD = """# instructor-jax

> INSTRUCTOR text embeddings in JAX: encode with instructions, serve, train on multitask mixtures, evaluate, convert to
> and from PyTorch, on CPU, GPU and TPU.

## Pages

"""


def write_llms(app: Any, failure: Exception | None) -> None:
    """Writes the list beside the built pages (event `build-finished`)."""
    if failure is None and app.builder.format == "html":
        titles = {name: title.astext() for name, title in app.env.titles.items()}
        (Path(app.outdir) / "llms.txt").write_text(llms(titles), encoding="utf-8")


def llms(titles: dict[str, str]) -> str:
    """Returns the list.

    Args:
        titles: Title of every page by its name, such as `reference/settings`.
    """
    return HEAD + "".join(f"- [{titles[name]}]({name}.html)\n" for name in sorted(titles))
