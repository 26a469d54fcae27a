"""Writing pages so that only those that changed are built again."""

from pathlib import Path


def write_if_changed(path: Path, text: str) -> None:
    """Writes a text file unless it has that text already."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
