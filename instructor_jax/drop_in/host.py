"""What the parts of the drop-in surface need of the class that they are part of; `Instructor` has it."""

from typing import Any

from instructor_jax.inference.compute_options import ComputeOptions
from instructor_jax.io.model_folder import ModelFolder


class Host:
    """The members that the classes of this folder use, declared and not implemented.

    Attributes:
        folder: Configuration, prompts and place of the model; replaced whole, never changed.
    """

    folder: ModelFolder
    _options: ComputeOptions

    def encode(self, sentences: Any = None, *args: Any, **options: Any) -> Any:
        """Embeds texts; see `Instructor.encode`."""
        raise NotImplementedError

    def _ready(self) -> Any:
        """Returns the engine; see `LoadedModel`."""
        raise NotImplementedError

    def _reconfigure(self, **changes: Any) -> None:
        """Changes the configuration; see `LoadedModel`."""
        raise NotImplementedError

    def _compute_with(self, options: ComputeOptions) -> None:
        """Computes in another type or on other devices; see `LoadedModel`."""
        raise NotImplementedError
