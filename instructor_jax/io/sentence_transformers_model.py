"""A model of sentence-transformers as a function from texts to float32 vectors: baselines, teachers and scorers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from instructor_jax.io.other_libraries import sentence_transformer


class SentenceTransformersModel:
    """A loaded model of sentence-transformers; `model` is the library's own object."""

    def __init__(
        self, name_or_folder: str | Path, *, needed_by: str, dtype: Literal["float32", "bfloat16"] | None = None
    ) -> None:
        """
        Args:
            name_or_folder: folder of the model, or its name on the hub.
            needed_by: what needs the library, for the message where it is absent.
            dtype: type of the computation; that of the stored weights if None.

        Raises:
            ValueError: the model needs code of its own, or sentence-transformers cannot load it.
            ImportError: sentence-transformers is absent.
        """
        try:
            import sentence_transformers  # noqa: F401
            import torch
        except ImportError as error:
            raise ImportError(
                f"{needed_by} needs sentence-transformers: pip install 'instructor-jax[torch]'"
            ) from error
        model = sentence_transformer(name_or_folder, local=Path(name_or_folder).is_dir())
        self.model: Any = (model if dtype is None else model.to(getattr(torch, dtype))).eval()

    def encode(
        self,
        texts: Sequence[str],
        *,
        prompt: str | None = None,
        batch_size: int,
        unit_length: bool = False,
        progress: bool = False,
    ) -> Float[np.ndarray, "texts dim"]:
        """Returns a vector for each text.

        Args:
            texts: at least one.
            prompt: what stands before every text; the model's default if None.
            batch_size: texts in one forward pass.
            unit_length: scale the vectors to length one, also where the model does not.
            progress: show a progress bar.
        """
        vectors = self.model.encode(
            list(texts),
            prompt=prompt,
            batch_size=batch_size,
            normalize_embeddings=unit_length,
            convert_to_numpy=True,
            show_progress_bar=progress,
        )
        return np.asarray(vectors, np.float32)
