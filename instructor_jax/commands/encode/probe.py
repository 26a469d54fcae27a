"""Whether the loaded model is the one that began an unfinished run.

The vector of a fixed text stands for everything that names do not show: weights that were replaced in a folder, another
machine.
"""

import logging

import numpy as np

from instructor_jax.commands.encode.part_records import damaged_run, start_over
from instructor_jax.commands.encode.parts import PartStore
from instructor_jax.commands.encode.vector_files import open_npy, write_npy
from instructor_jax.io.atomic import whole_file
from instructor_jax.model_options import Embedder

logger: logging.Logger = logging.getLogger(__name__)

_TEXT = "resume"  # one short word: cheap to encode, and no limit on lengths refuses it
# How far apart, relative to its length, rounding puts the vector of one text on two kinds of device.
_ROUNDING = {"float32": 1e-4, "bfloat16": 2e-2, "auto": 2e-2}  # auto: each device may choose the other type


def require_same_model(store: PartStore, embedder: Embedder, dtype: str) -> None:
    """Compares the model's vector of the fixed text with that of the run that began the parts.

    The first run keeps the vector; a later one on a machine that rounds differently is told so by a warning.

    Args:
        store: the parts.
        embedder: the loaded model.
        dtype: type that it computes in.

    Raises:
        ValueError: the model is another one, or the kept vector is damaged.
    """
    vector = np.asarray(embedder.encode([_TEXT], show_progress_bar=False))[0]
    path = store.folder / "probe.npy"
    if not path.exists():
        with whole_file(path) as beside:
            write_npy(beside, vector, None, 0)
        return
    try:
        before = np.asarray(open_npy(path))
    except ValueError as error:
        raise damaged_run(store.place, str(error)) from error
    length = np.linalg.norm(before)
    if before.shape != vector.shape or np.linalg.norm(before - vector) > _ROUNDING[dtype] * length:
        raise ValueError(
            f"{store.place} was made by another model: the vector of a fixed text differs; "
            f"use that model to go on, or {start_over(store.place)}"
        )
    if not np.array_equal(before, vector):
        logger.warning(
            "this machine rounds differently from the one that began %s; the result will be right, "
            "but not byte for byte that of one machine",
            store.place,
        )
