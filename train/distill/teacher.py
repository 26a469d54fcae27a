"""A distillation teacher: any model that sentence-transformers loads, found by folder, package or name on the hub.

Its vectors are kept on disk under a hash of its files, so a folder is needed to find them, but PyTorch only to compute
new ones: it is imported when the first text is encoded.
"""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

from instructor_jax.io.package_models import PACKAGE, packaged_folder
from instructor_jax.io.sentence_transformers_model import SentenceTransformersModel
from instructor_jax.io.tokenizers.digest import digest_of_files

_BATCH = 64  # texts of a forward pass; they are of nearly one length, and more gain nothing on CPUs
_READ = (".json", ".txt", ".model", ".vocab", ".safetensors", ".bin", ".py")  # what decides a model's vectors
_OTHER_FRAMEWORKS = ("*.h5", "*.msgpack", "*.ot", "*.onnx", "onnx/*", "openvino/*")


def teacher_folder(name: str) -> Path:
    """Finds the folder of a teacher.

    Args:
        name: Folder; `package:NAME`, an installed package that carries a model; or a name on the hub.

    Raises:
        ValueError: The package is not installed, or carries no model or several.
        OSError: The hub cannot be reached, or does not have it.
    """
    if name.startswith(PACKAGE):
        return packaged_folder(name)
    if Path(name).is_dir():
        return Path(name)
    import huggingface_hub

    try:
        return Path(huggingface_hub.snapshot_download(name, ignore_patterns=list(_OTHER_FRAMEWORKS)))
    except Exception as error:  # the hub's library raises errors of its own and those of the network's
        raise OSError(
            f"distill.teacher={name!r} is no folder, and the hub did not give it ({str(error).splitlines()[0]}). Give "
            f"the folder of a sentence-transformers model, or {PACKAGE}NAME of an installed package that carries one."
        ) from error


def teacher_digest(folder: Path) -> str:
    """Returns the hash of the files that decide what vectors a model gives.

    Raises:
        ValueError: It is not a sentence-transformers folder.
    """
    if not (folder / "modules.json").is_file():
        raise ValueError(f"{folder} is not the folder of a sentence-transformers model: it has no modules.json.")
    return digest_of_files(
        folder, sorted(path for path in folder.rglob("*") if path.suffix in _READ and path.is_file())
    )


class Teacher:
    """A teacher model that turns texts into unit vectors."""

    folder: Path
    tokens: int
    prompt: str

    def __init__(
        self, folder: Path, tokens: int, prompt: str = "", dtype: Literal["float32", "bfloat16"] = "float32"
    ) -> None:
        """
        Args:
            folder: Folder of the model.
            tokens: Largest number of tokens of a text, prompt included; the model's own limit where that is lower.
            prompt: Text that stands before every text.
            dtype: Floating-point type of the computation.
        """
        self.folder, self.tokens, self.prompt = folder, tokens, prompt
        self.dtype: Literal["float32", "bfloat16"] = dtype

    def __call__(self, texts: Sequence[str]) -> Float[np.ndarray, "texts dim"]:
        """Returns float32 vectors of unit length, computed longest text first so that batches have hardly any padding.

        Raises:
            ImportError: Sentence-transformers is absent.
        """
        prompted = [self.prompt + text for text in texts]
        return self._model.encode(prompted, batch_size=_BATCH, unit_length=True)

    @functools.cached_property
    def _model(self) -> SentenceTransformersModel:
        loaded = SentenceTransformersModel(self.folder, needed_by="A distillation teacher", dtype=self.dtype)
        loaded.model.max_seq_length = min(self.tokens, loaded.model.max_seq_length or self.tokens)
        return loaded
