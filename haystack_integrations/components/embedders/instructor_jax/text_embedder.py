"""`InstructorTextEmbedder`: embeds a query under an instruction."""

from typing import Any

from haystack import component, default_from_dict, default_to_dict
from haystack.utils import ComponentDevice, Secret

from haystack_integrations.components.embedders.instructor_jax.settings import HUB_TOKEN, ModelSettings
from instructor_jax.integrations.two_sided import beside_the_loop


@component
class InstructorTextEmbedder:
    """Embeds one text, such as a query, for a retriever. The model is loaded by `warm_up`, or by the first run.

    Args:
        model: a folder, a name on the hub, or "default" for the package's small English model.
        device: where to compute; all of JAX's devices if None.
        token: the hub's, for private models.
        instruction: instruction of the text; None for the model's own for queries, "" for none.
        batch_size: taken as the older class has it; one text is one call.
        progress_bar: likewise.
        normalize_embeddings: unit length also for models without a normalising module.
        truncate_dim: dimensions that are kept.
        model_kwargs: further options of `instructor_jax.INSTRUCTOR`, such as dtype, revision, max_length.

    Raises:
        ValueError: a wrong option.
    """

    def __init__(
        self,
        model: str = "hkunlp/instructor-base",
        device: "ComponentDevice | str | None" = None,
        token: "Secret | None" = HUB_TOKEN,
        instruction: str | None = None,
        batch_size: int | None = None,
        progress_bar: bool = True,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
        model_kwargs: dict[str, Any] | None = None,
    ) -> None:
        self._settings = ModelSettings(
            model, device, token, batch_size, progress_bar, normalize_embeddings, truncate_dim, model_kwargs
        )
        self._embedder = self._settings.embedder(query_instruction=instruction)

    def to_dict(self) -> dict[str, Any]:
        """Returns the component as Haystack's pipelines write it."""
        return default_to_dict(self, **vars(self._settings), instruction=self._embedder.query_instruction)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "InstructorTextEmbedder":
        """Makes the component that `to_dict` described."""
        return default_from_dict(cls, data)

    def warm_up(self) -> None:
        """Loads the model, unless it is loaded.

        Raises:
            ValueError: no such model, or an option that cannot be obeyed.
            OSError: the hub does not know it or cannot be reached.
        """
        _ = self._embedder.model

    async def warm_up_async(self) -> None:
        """Loads the model in a thread; the event loop goes on meanwhile."""
        await beside_the_loop(self.warm_up)

    @component.output_types(embedding=list[float], meta=dict[str, Any])
    def run(self, text: str) -> dict[str, Any]:
        """Embeds a text.

        Returns:
            "embedding", and "meta" with the model and the instruction.

        Raises:
            TypeError: it is no string.
        """
        return self._answer(_checked(text))

    @component.output_types(embedding=list[float], meta=dict[str, Any])
    async def run_async(self, text: str) -> dict[str, Any]:
        """Embeds a text in a thread; the event loop goes on meanwhile."""
        return await beside_the_loop(self._answer, _checked(text))

    def _answer(self, text: str) -> dict[str, Any]:
        embedding = self._embedder.vectors([text], "query")[0].tolist()
        return {
            "embedding": embedding,
            "meta": {"model": self._settings.model, "instruction": self._embedder.instruction("query")},
        }


def _checked(text: Any) -> str:
    if not isinstance(text, str):
        raise TypeError(
            f"InstructorTextEmbedder embeds a string, not a {type(text).__name__}; for documents take "
            "InstructorDocumentEmbedder."
        )
    return text
