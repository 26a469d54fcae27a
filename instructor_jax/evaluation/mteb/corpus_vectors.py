"""A corpus's vectors, block by block, kept on disk: a killed run goes on where it was, a second task starts with them.

A block's file is named by the hash of everything its vectors depend on (model, revision, instruction, the texts), so
nothing ever has to be invalidated.
"""

import hashlib
import logging
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float

from instructor_jax.evaluation.embedder import Embedder
from instructor_jax.io.atomic import whole_file

logger: logging.Logger = logging.getLogger(__name__)

BLOCK = 16384  # texts; with 768 dimensions 48 MiB of float32


class CorpusVectors:
    """Encodes blocks of texts, or reads them back.

    Args:
        embedder: the model.
        folder: where to keep vectors; None keeps none.
    """

    def __init__(self, embedder: Embedder, folder: Path | None) -> None:
        self._embedder = embedder
        self._folder = folder
        self.encoded = 0  # texts
        self.read = 0

    def blocks(self, texts: Iterable[str], instruction: str) -> Iterator[Float[np.ndarray, "texts dim"]]:
        """Yields the vectors of a stream of texts, `BLOCK` at a time; no more than one block of texts is held."""
        source = iter(texts)
        while block := list(islice(source, BLOCK)):
            yield self.block(block, instruction)

    def block(self, texts: Sequence[str], instruction: str) -> Float[np.ndarray, "texts dim"]:
        """Returns the vectors of some texts, one float32 row each; what comes from disk is mapped, not read."""
        if self._folder is None:
            self.encoded += len(texts)
            return self._embedder.encode(texts, instruction)
        path = self._folder / f"{self._key(texts, instruction)}.npy"
        stored = self._stored(path, len(texts))
        if stored is not None:
            self.read += len(texts)
            return stored
        vectors = self._embedder.encode(texts, instruction)
        self.encoded += len(texts)
        self._folder.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as beside, open(beside, "wb") as file:
            np.save(file, vectors)
        return vectors

    def _key(self, texts: Sequence[str], instruction: str) -> str:
        digest = hashlib.blake2b(digest_size=16)
        for part in (self._embedder.name, self._embedder.revision, instruction, *texts):
            encoded = part.encode("utf-8", "surrogatepass")
            digest.update(len(encoded).to_bytes(8, "little"))  # so that ["ab", "c"] is not ["a", "bc"]
            digest.update(encoded)
        return digest.hexdigest()

    def _stored(self, path: Path, rows: int) -> np.ndarray | None:
        if not path.is_file():
            return None
        try:
            vectors = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            logger.warning("%s cannot be read (%s); encoding its texts again", path, error)
            return None
        if not isinstance(vectors, np.ndarray):  # an archive of several arrays
            logger.warning("%s is no array; encoding its texts again", path)
            return None
        if vectors.shape != (rows, self._embedder.dimension) or vectors.dtype != np.float32:
            logger.warning("%s holds %s %s; encoding its texts again", path, vectors.dtype, vectors.shape)
            return None
        return vectors
