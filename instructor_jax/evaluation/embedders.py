"""What an evaluation asks of a model, and the two ways to get one: our own `Instructor`, or sentence-transformers.

Both sides get the same strings in the same way (texts stripped, no prompt at all for an empty instruction, the
instruction read but not pooled), so that a difference in scores is a difference of models and not of plumbing.
"""

import hashlib
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from instructor_jax.evaluation.embedder import Embedder
from instructor_jax.io.default_model import DEFAULT_MODEL
from instructor_jax.io.sentence_transformers_model import SentenceTransformersModel

if TYPE_CHECKING:
    from instructor_jax.embedder import Instructor

logger: logging.Logger = logging.getLogger(__name__)

SENTENCE_TRANSFORMERS = "st:"
TFIDF = "tfidf"
_HASHED_AT_ONCE = 1 << 22  # bytes


def load(model: str, *, data: Path | None = None, instructions: bool = True, batch_size: int | None = None) -> Embedder:
    """Loads a model for evaluation.

    Args:
        model: a folder or hub name for `Instructor`, "st:" and a folder (or hub name) for sentence-transformers, or
            "tfidf" for the baseline.
        data: folder of evaluation sets, which the baseline is fitted to.
        instructions: False encodes every text without its instruction.
        batch_size: most texts per device call; by default tokens decide, and 32 with sentence-transformers.

    Raises:
        ValueError: no such model, or one that cannot be read; or there is no data for the baseline.
        ImportError: sentence-transformers is asked for and absent.
    """
    embedder: Embedder
    if model == TFIDF:
        if data is None:
            raise ValueError("tfidf is fitted to the evaluation texts; give their folder with --data.")
        from instructor_jax.evaluation.tfidf_embedder import TfidfEmbedder  # imports the readers of all local sets

        return TfidfEmbedder(data)
    if model.startswith(SENTENCE_TRANSFORMERS):
        embedder = SentenceTransformersEmbedder(model.removeprefix(SENTENCE_TRANSFORMERS), batch_size)
    else:
        embedder = JaxEmbedder.load(model, batch_size)
    return embedder if instructions else WithoutInstructions(embedder)


class JaxEmbedder:
    """`Instructor`, truncating silently as the published evaluation did."""

    name: str
    revision: str
    dimension: int
    max_length: int
    parameters: int

    def __init__(self, model: "Instructor", name: str, revision: str, batch_size: int | None = None) -> None:
        from instructor_jax.config import parameter_count

        self._model, self._batch_size = model, batch_size
        self.name, self.revision = name, revision
        self.dimension = model.config.embedding_dim
        self.max_length = model.config.max_length
        self.parameters = parameter_count(model.config)

    @classmethod
    def load(cls, model: str, batch_size: int | None = None) -> "JaxEmbedder":
        """Loads a folder or a name on the hub."""
        from instructor_jax.embedder import Instructor

        loaded = Instructor.from_pretrained(model)
        return cls(loaded, jax_model_name(model), folder_hash(loaded.folder.whole), batch_size)

    def encode(self, texts: Sequence[str], instruction: str) -> Float[np.ndarray, "texts dim"]:
        """See `Embedder`."""
        return self._model.encode(
            list(texts),
            instruction=instruction,
            batch_size=self._batch_size,
            on_overflow="truncate",
            show_progress_bar=False,
        )

    def count_tokens(self, texts: Sequence[str], instruction: str) -> list[int]:
        """See `Embedder`."""
        from instructor_jax.text.tokenization import Pair

        return self._model.tokenizer([Pair(instruction, text) for text in texts]).full_lengths.tolist()


class SentenceTransformersEmbedder:
    """The same through sentence-transformers, whose own strings differ from InstructorEmbedding's in two places.

    It strips nothing, and it pools over the prompt of a local INSTRUCTOR folder unless told not to; both are set right
    here. Folders that are no T5 sentence encoders keep the pooling they declare.
    """

    name: str
    revision: str
    dimension: int
    max_length: int
    parameters: int

    def __init__(self, model: str, batch_size: int | None = None) -> None:
        self._loaded = SentenceTransformersModel(model, needed_by=f"{SENTENCE_TRANSFORMERS}{model}")
        self._batch_size = batch_size or 32
        path, peer = Path(model), self._loaded.model
        if path.is_dir() and not _pools_instruction(path, default=True):
            peer.set_pooling_include_prompt(False)
        # "" means no instruction, not the folder's favourite one.
        peer.default_prompt_name = None
        name = folder_name(path) if path.is_dir() else model.replace("/", "_")
        self.name = f"sentence-transformers/{_safe(name)}"
        self.revision = folder_hash(path) if path.is_dir() else "hub"
        self.dimension = self._loaded.encode([""], batch_size=1).shape[1]
        self.max_length = int(peer.max_seq_length or peer.tokenizer.model_max_length)
        self.parameters = sum(weights.numel() for weights in peer.parameters())

    def encode(self, texts: Sequence[str], instruction: str) -> Float[np.ndarray, "texts dim"]:
        """See `Embedder`."""
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        stripped = [text.strip() for text in texts]
        return self._loaded.encode(stripped, prompt=instruction or None, batch_size=self._batch_size)

    def count_tokens(self, texts: Sequence[str], instruction: str) -> list[int]:
        """See `Embedder`."""
        joined = [(instruction + text.strip()).strip() for text in texts]
        tokenizer = self._loaded.model.tokenizer
        ids = tokenizer(joined, truncation=False, padding=False, verbose=False)["input_ids"] if joined else []
        return [len(row) for row in ids]


class WithoutInstructions:
    """Another embedder, deaf to instructions; under a revision of its own, because its vectors differ."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.name: str = embedder.name
        self.dimension: int = embedder.dimension
        self.max_length: int = embedder.max_length
        self.parameters: int = embedder.parameters
        self.revision: str = f"{embedder.revision}-without-instructions"

    def encode(self, texts: Sequence[str], instruction: str) -> Float[np.ndarray, "texts dim"]:
        """See `Embedder`; the instruction is ignored."""
        return self._embedder.encode(texts, "")

    def count_tokens(self, texts: Sequence[str], instruction: str) -> list[int]:
        """See `Embedder`; the instruction is ignored."""
        return self._embedder.count_tokens(texts, "")


def folder_hash(folder: Path) -> str:
    """Returns twelve hexadecimal digits that change with any file of a model folder but README and hidden files."""
    digest = hashlib.blake2b(digest_size=6)
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in relative.parts)
        if hidden or path.suffix.lower() == ".md" or not path.is_file():
            continue
        digest.update(f"{relative.as_posix()}\0{path.stat().st_size}\0".encode())
        with open(path, "rb") as file:
            while block := file.read(_HASHED_AT_ONCE):
                digest.update(block)
    return digest.hexdigest()


def _pools_instruction(path: Path, *, default: bool) -> bool:
    """Returns whether the instruction is pooled like text, by our reader's rule; `default` where it cannot read."""
    from instructor_jax.io.folders import read_folder

    try:
        return read_folder(path).config.pool_instruction
    except ValueError:
        return default


def jax_model_name(model: str) -> str:
    """Returns what a model is called in results: its name on the hub, or what stands for its folder."""
    if model == DEFAULT_MODEL:
        return f"instructor-jax/{model}"
    return f"local/{folder_name(Path(model))}" if Path(model).is_dir() else model


def folder_name(path: Path) -> str:
    """Returns what a model's folder is called in results; one named `model`, as runs name it, after the run, too."""
    path = Path(os.path.abspath(path))  # links keep their names: who makes one means it
    return _safe(f"{path.parent.name}-{path.name}" if path.name == "model" else path.name)


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)
