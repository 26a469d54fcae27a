"""Saving a model as sentence-transformers' class does, under its two names."""

import tempfile
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

    def push_to_hub(
        self,
        repo_id: str,
        token: str | None = None,
        private: bool | None = None,
        safe_serialization: Any = True,
        commit_message: str | None = None,
        local_model_path: Any = None,
        exist_ok: bool = False,
        replace_model_card: Any = False,
        train_datasets: Any = None,
        revision: str | None = None,
        create_pr: bool = False,
    ) -> str:
        """Uploads the model to the Hugging Face hub; the options are those of sentence-transformers' class.

        Args:
            repo_id: Name of the repository, as in `organisation/model`; it is made where it is new.
            token: Token of the hub; the one that `hf auth login` keeps if None.
            private: Whether a new repository is private; the hub's own default if None.
            safe_serialization: False, for a file of PyTorch, is refused.
            commit_message: Message of the commit.
            local_model_path: Folder to upload in place of this model.
            exist_ok: Whether the repository may exist.
            replace_model_card: Option of sentence-transformers; a folder without a card gets one here, and a card that
                the repository has already is replaced by it.
            train_datasets: Option of sentence-transformers for its own card; nothing changes here.
            revision: Branch to write to; made where it is new.
            create_pr: Whether a pull request is opened in place of a commit.

        Returns:
            The address of the commit or of the pull request.

        Raises:
            ValueError: The name is none of the hub's, or the repository exists and must not.
            OSError: The hub cannot be reached, or refuses.
        """
        from instructor_jax.publishing.upload import Upload, upload

        how = Upload(
            private=private,
            revision=revision,
            create_pr=create_pr,
            exist_ok=exist_ok,
            message=commit_message or Upload.message,
            token=token,
        )
        if local_model_path is not None:
            return upload(Path(local_model_path), repo_id, how)
        with tempfile.TemporaryDirectory(prefix="instructor-jax-") as folder:
            written = Path(folder, "model")
            self.save_pretrained(written, safe_serialization=safe_serialization)
            return upload(written, repo_id, how)

    def save_to_hub(self, repo_id: str, *args: Any, **options: Any) -> str:
        """Uploads the model, under the older name of `push_to_hub`."""
        return self.push_to_hub(repo_id, *args, **options)

    def save(self, path: Any, *args: Any, **options: Any) -> None:
        """Writes a folder, under the older name of `save_pretrained`."""
        self.save_pretrained(path, *args, **options)
