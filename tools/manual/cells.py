"""Notebooks of the site: where their outputs are kept between builds, and how their shell commands are shown.

A cell of shell commands begins with `%%bash -e`, by which Jupyter runs them and by which one that fails is an error of
the build. Readers copy the commands, so the site shows them without that line.
"""

import hashlib
from importlib import metadata
from pathlib import Path
from typing import Any

from docutils import nodes

from .links import ROOT

_SHELL = "%%bash"
# What outputs depend on besides the cells themselves, which jupyter-cache compares.
_SOURCES = ("instructor_jax", "train", "convert")
_LIBRARIES = ("jax", "langchain-core", "matplotlib", "numpy", "optax")


def kept_outputs(outdir: str | Path) -> Path:
    """Returns the folder of the notebooks' outputs: beside the site, one for each state of the code.

    Args:
        outdir: Folder that the site is built into.
    """
    return Path(outdir).parent / "notebooks" / state_of_code(ROOT)


def state_of_code(checkout: Path) -> str:
    """Returns a digest of the package's files and of the versions of libraries whose results the pages show."""
    digest = hashlib.sha256()
    for name in _LIBRARIES:
        try:
            digest.update(f"{name} {metadata.version(name)}\n".encode())
        except metadata.PackageNotFoundError:
            digest.update(f"{name} absent\n".encode())
    for path in sorted(path for folder in _SOURCES for path in (checkout / folder).rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{path.relative_to(checkout).as_posix()} {content}\n".encode())
    return digest.hexdigest()[:16]


def joined_streams(outputs: list[Any]) -> list[Any]:
    """Returns a cell's outputs with the pieces of each stream, of 100 characters, joined as they came."""
    streams: dict[str, Any] = {}
    joined = []
    for output in outputs:
        if output["output_type"] == "stream" and output["name"] in streams:
            streams[output["name"]]["text"] += output["text"]
        else:
            if output["output_type"] == "stream":
                streams[output["name"]] = output
            joined.append(output)
    return joined


def show_shell_commands(app: Any, doctree: nodes.document) -> None:
    """Shows cells of shell commands as such (event `doctree-read`)."""
    for block in doctree.findall(nodes.literal_block):
        first, _, commands = block.astext().partition("\n")
        if first.startswith(_SHELL):
            block.clear()
            block += nodes.Text(commands)
            block.rawsource = commands  # highlighted only where it equals the text
            block["language"] = "bash"
