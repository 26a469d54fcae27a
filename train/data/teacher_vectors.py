"""`TeacherVectors`: a teacher's vectors of a token cache's texts, memory-mapped, looked up by the numbers of texts.

On disk vectors lie under the hash of the text without instruction, in the order in which they were once computed
(`VectorFiles`). So a text that occurs under many instructions, in many tasks or in another mixture is computed once,
and files only grow.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float16, Float32, Int, Int32, UInt64

from instructor_jax.io.json_files import Fields, read_json, shown_value

META = "teacher.json"
VECTORS = "vectors.bin"
HASHES = "hashes.bin"
FORMAT = 1


@dataclasses.dataclass(frozen=True)
class VectorFiles:
    """A folder of vectors as far as it is written.

    Attributes:
        folder: Folder of the files; may not be there yet.
        texts: Number of whole vectors; what lies behind them in the files does not count.
        dim: Size of the vectors; 0 while there are none.
    """

    folder: Path
    texts: int = 0
    dim: int = 0

    @staticmethod
    def opened(folder: Path) -> "VectorFiles":
        """Opens the files of a folder; without a folder there are no vectors.

        Raises:
            ValueError: The files are shorter than their description says, or of another format.
        """
        path = folder / META
        if not path.is_file():
            return VectorFiles(folder)
        try:
            fields = Fields(read_json(path), path)
            if fields.any("format") != FORMAT:
                raise ValueError(f"{folder} is of format {shown_value(fields.any('format'))}, not {FORMAT}.")
            files = VectorFiles(folder, fields.whole("texts", most=2**40), fields.whole("dim", least=1))
        except ValueError as error:
            raise ValueError(f"{error} Delete the folder to have the teacher's vectors made again.") from error
        for name, row in ((VECTORS, 2 * files.dim), (HASHES, 8)):
            size = (folder / name).stat().st_size if (folder / name).is_file() else 0
            if size < files.texts * row:
                raise ValueError(
                    f"{folder / name} has {size} bytes, fewer than {files.texts * row}; delete the folder to have it "
                    "made again."
                )
        return files

    def hashes(self) -> UInt64[np.ndarray, "vectors"]:
        """Returns the hashes of the texts without instruction, in the order of their vectors."""
        if not self.texts:
            return np.empty(0, np.uint64)
        return np.fromfile(self.folder / HASHES, np.uint64, self.texts)

    def vectors(self) -> Float16[np.ndarray, "vectors dim"]:
        """Returns all vectors, memory-mapped."""
        if not self.texts:
            return np.empty((0, self.dim), np.float16)
        return np.memmap(self.folder / VECTORS, np.float16, "r", shape=(self.texts, self.dim))

    def numbers(self, hashes: UInt64[np.ndarray, "texts"]) -> Int32[np.ndarray, "texts"]:
        """Returns where the vector of each text lies; -1 where there is none."""
        own = self.hashes()
        order = np.argsort(own)
        at = np.searchsorted(own, hashes, sorter=order)
        found = np.append(order, -1)[at]
        return np.where((at < len(own)) & (np.append(own, np.uint64(0))[found] == hashes), found, -1).astype(np.int32)


class TeacherVectors:
    """Looks up vectors by numbers of texts. Pickles as its path; safe to use from several threads."""

    files: VectorFiles
    numbers: Int32[np.ndarray, "texts"]
    axes: Float32[np.ndarray, "dim kept"] | None

    def __init__(
        self,
        files: VectorFiles,
        numbers: Int32[np.ndarray, "texts"],
        axes: Float32[np.ndarray, "dim kept"] | None = None,
    ) -> None:
        """
        Args:
            files: Files of the vectors.
            numbers: Place of the vector of each of a token cache's texts; -1 for texts that are never asked for.
            axes: Orthonormal columns; vectors are given in these coordinates, at unit length again. None for their own.
        """
        self.files, self.numbers, self.axes = files, numbers, axes
        self._vectors = np.asarray(
            files.vectors()
        )  # slices of a memory map itself are objects that cost more than they hold

    @property
    def dim(self) -> int:
        """Returns the size of the vectors."""
        return self.files.dim if self.axes is None else self.axes.shape[1]

    def __call__(self, texts: Int[np.ndarray, "*batch"]) -> Float16[np.ndarray, "*batch dim"]:
        """Returns vectors of unit length; zeros where a number is -1."""
        there = texts >= 0
        rows = self.numbers[texts[there]]
        assert (rows >= 0).all(), "a text without a teacher's vector"
        taken = self._vectors[rows]
        if self.axes is not None:
            taken = taken.astype(np.float32) @ self.axes
            taken /= np.maximum(np.linalg.norm(taken, axis=1, keepdims=True), 1e-12)
        result = np.zeros((*texts.shape, self.dim), np.float16)
        result[there] = taken
        return result

    def __reduce__(self) -> tuple[Any, ...]:
        return TeacherVectors, (self.files, self.numbers, self.axes)
