"""The end of a run: its model as a folder for this library and sentence-transformers, with a card about it."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from instructor_jax.io.atomic import whole_file
from instructor_jax.io.folder_writer import write_sentence_transformers

from .metrics_file import FILE, read_lines
from .prepared import Prepared
from .run_folder import MODEL

CARD = "README.md"


def export(prepared: Prepared, params: dict[str, Any]) -> Path:
    """Writes the folder `model` of a run; what is there already stays as it is.

    Args:
        prepared: Run that is finished.
        params: Trained weights, as NumPy arrays.
    """
    from .model_card import model_card, read_length  # once, at the end of a run

    run = prepared.run
    target = Path(run.output) / MODEL
    if not target.exists():
        kept = jnp.dtype(run.export)
        config = dataclasses.replace(prepared.folder.config, max_length=read_length(prepared))
        folder = dataclasses.replace(prepared.folder, config=config)
        write_sentence_transformers(target, folder, jax.tree.map(lambda x: np.asarray(x, kept), params))
    if not (target / CARD).is_file():
        metrics = Path(run.output) / FILE
        card = model_card(prepared, prepared.mixture, read_lines(metrics) if metrics.is_file() else [], size_of(target))
        with whole_file(target / CARD) as draft:
            draft.write_text(card, encoding="utf-8")
    return target


def size_of(folder: Path) -> int:
    """Returns the bytes of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
