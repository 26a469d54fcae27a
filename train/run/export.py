"""The end of a run: its model as a folder for this library and sentence-transformers, with a card about it."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import jax.numpy as jnp

from instructor_jax.io.atomic import whole_file
from instructor_jax.io.folder_writer import write_in_pieces, write_without_weights
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.io.weights.pieces import Piece

from .metrics_file import FILE, read_lines
from .prepared import Prepared
from .run_folder import MODEL, MODEL_SETTINGS

CARD = "README.md"


def export(prepared: Prepared, found: Iterable[Piece]) -> Path:
    """Writes the folder `model` of a run; what is there already stays as it is.

    Args:
        prepared: Run that is finished.
        found: Trained weights, piece by piece; each is written as it comes.
    """
    from .model_card import model_card  # once, at the end of a run

    run = prepared.run
    target = Path(run.output) / MODEL
    if not target.exists():
        write_in_pieces(target, exported_folder(prepared), found, jnp.dtype(run.export))
    if not (target / CARD).is_file():
        metrics = Path(run.output) / FILE
        card = model_card(prepared, prepared.mixture, read_lines(metrics) if metrics.is_file() else [], size_of(target))
        with whole_file(target / CARD) as draft:
            draft.write_text(card, encoding="utf-8")
    return target


def note_model(prepared: Prepared) -> None:
    """Writes all of the run's model but its weights beside the checkpoints, so that each of these is a model."""
    target = Path(prepared.run.output) / MODEL_SETTINGS
    if not target.exists():
        write_without_weights(target, exported_folder(prepared))


def exported_folder(prepared: Prepared) -> ModelFolder:
    """Returns the trained model's configuration and tokenizer."""
    from .model_card import read_length

    config = dataclasses.replace(prepared.folder.config, max_length=read_length(prepared))
    return dataclasses.replace(prepared.folder, config=config)


def size_of(folder: Path) -> int:
    """Returns the bytes of all files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
