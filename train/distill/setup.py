"""What a run needs of its teacher: the vectors of its texts, and weights to start from.

Both are made once and found on disk later: vectors beside the mixture, for all runs with this teacher; the start in the
run's own folder, as a model that can be tried out.
"""

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float32, Int64

from instructor_jax.backbones.registry import backbone_of
from instructor_jax.io.array_files import read_array
from instructor_jax.io.atomic import whole_file
from instructor_jax.io.file_lock import one_process
from instructor_jax.io.folder_writer import write_sentence_transformers
from instructor_jax.io.folders import read_folder
from instructor_jax.io.model_folder import ModelFolder
from instructor_jax.nn.model import init_params

from ..data.teacher_vectors import TeacherVectors, VectorFiles
from ..data.texts_without_instruction import text_hashes, texts_of
from ..data.token_cache import Reading
from ..settings.run_config import RunConfig
from .output_names import AXES, START
from .pca import principal_axes
from .static_init import read_subwords, static_params, subword_vectors, subword_weights
from .teacher import Teacher, teacher_folder
from .vectors_writer import open_vectors

logger: logging.Logger = logging.getLogger(__name__)

_SAMPLE = 50_000  # vectors that decide the axes


def set_up_distillation(
    run: RunConfig, folder: ModelFolder, readings: Sequence[Reading], rows: Sequence[Int64[np.ndarray, "_"]]
) -> tuple[ModelFolder, list[TeacherVectors | None]]:
    """Returns the folder that the run starts from, and the teacher's vectors for each reading (None without one).

    Args:
        run: Settings of the run.
        folder: Tokenizer and shape of the student.
        readings: Mixture, in the ways in which it is read.
        rows: Numbers of the examples of each reading that the run takes; their texts are those that need vectors.

    Raises:
        ValueError: The teacher is no model, or its vectors cannot be compared with the student's.
        ImportError: Sentence-transformers is absent, and something must be computed.
    """
    distill = run.distill
    if not distill.teacher:
        return folder, [None] * len(readings)
    teacher = Teacher(
        teacher_folder(distill.teacher), distill.teacher_tokens, distill.teacher_prompt, distill.teacher_dtype
    )
    vectors: list[TeacherVectors | None] = [None] * len(readings)
    axes = None
    if distill.on:
        negatives = run.batch.negatives > 0
        needed = [texts_of(one.cache, part, negatives) for one, part in zip(readings, rows, strict=True)]
        sources = [(one.source, one.cache, wanted) for one, wanted in zip(readings, needed, strict=True)]
        files = open_vectors(distill, run.made_of_data("teacher"), sources, teacher)
        hashes = [np.asarray(text_hashes(one.source, one.cache)[:, 0]) for one in readings]
        axes = _axes(run, folder, files, np.unique(hashes[-1][needed[-1]]))
        vectors = [TeacherVectors(files, files.numbers(one), axes) for one in hashes]
    if distill.static_init:
        folder = _started(run, folder, teacher, axes)
    return folder, vectors


def _axes(
    run: RunConfig, folder: ModelFolder, files: VectorFiles, hashes: np.ndarray
) -> Float32[np.ndarray, "dim kept"] | None:
    """Returns the coordinates in which a smaller student is given the vectors; None where they stay as they are."""
    size = folder.config.embedding_dim
    if size == files.dim or not run.distill.vectors:
        return None
    if size > files.dim:
        raise ValueError(
            f"the teacher's vectors have {files.dim} dimensions, the student's {size}; set "
            f"model.projection={files.dim} or less, or distill.vectors=0 to match similarities alone."
        )
    path = Path(run.output) / AXES
    path.parent.mkdir(parents=True, exist_ok=True)
    with one_process(path.with_name(f"{AXES}.lock")):
        if not path.is_file():
            sample = hashes[:: -(-len(hashes) // _SAMPLE)]  # evenly among hashes, whatever the order on disk
            axes = principal_axes(files.vectors()[files.numbers(sample)].astype(np.float32), size)
            with whole_file(path) as draft, draft.open("wb") as file:
                np.save(file, axes)
    return read_array(path, np.float32, (files.dim, size), "it")


def _started(
    run: RunConfig, folder: ModelFolder, teacher: Teacher, axes: Float32[np.ndarray, "dim kept"] | None
) -> ModelFolder:
    """Returns the folder of a student whose weights are a static model of the teacher."""
    path = Path(run.output) / START
    path.parent.mkdir(parents=True, exist_ok=True)
    with one_process(path.with_name(f"{START}.lock")):
        if not path.is_dir():
            pieces = read_subwords(folder.path)
            logger.info("%s: the teacher reads the %d pieces of the vocabulary", path, len(pieces.texts))
            vectors = subword_vectors(pieces, teacher)
            if axes is not None:
                vectors = vectors @ axes
            params = jax.device_get(init_params(folder.config, run.seed))
            outputs = backbone_of(folder.config.encoder).residual_outputs
            start = static_params(params, vectors, subword_weights(pieces), outputs, run.seed)
            write_sentence_transformers(path, folder, start)
    return dataclasses.replace(read_folder(path), config=folder.config)
