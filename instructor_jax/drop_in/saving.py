"""Saving a model as sentence-transformers' class does, under its two names."""

from pathlib import Path
from typing import Any

from instructor_jax.arguments import flag, optional_path
from instructor_jax.drop_in.host import Host
from instructor_jax.io.folder_writer import write_sentence_transformers


class Saved(Host):
    """A model that can be written to a folder."""

    def save_pretrained(
        self,
        path: Any,
        model_name: Any = None,
        create_model_card: Any = True,
        train_datasets: Any = None,
        safe_serialization: Any = True,
    ) -> None:
        """Writes a folder that sentence-transformers opens with the right pooling, weights in the model's dtype.

        Args:
            path: the new folder.
            model_name: sentence-transformers' option for its model card; there is none here, and nothing changes.
            create_model_card: likewise.
            train_datasets: likewise.
            safe_serialization: False, for a file of PyTorch, is refused.

        Raises:
            ValueError: the folder exists and is not empty.
        """
        if not flag("safe_serialization", safe_serialization):
            raise ValueError(
                "safe_serialization=False: weights are written as safetensors only, which torch reads too."
            )
        target = optional_path("path", path)
        if target is None:
            raise ValueError("path=None: give the folder that is to be written.")
        write_sentence_transformers(Path(target), self.folder, self._ready().kept_params())

    def save(self, path: Any, *args: Any, **options: Any) -> None:
        """Writes a folder, under the older name of `save_pretrained`."""
        self.save_pretrained(path, *args, **options)
