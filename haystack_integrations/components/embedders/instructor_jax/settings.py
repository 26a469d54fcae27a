"""What both components have in common: options of the model, and the embedder that they make."""

import dataclasses
from typing import Any

from haystack.utils import ComponentDevice, Secret

from instructor_jax.integrations.two_sided import TwoSidedEmbedder
from instructor_jax.io.printable import shown

# The hub's token from the environment, as Haystack's own components read it; there need not be one.
HUB_TOKEN: Secret = Secret.from_env_var(["HF_API_TOKEN", "HF_TOKEN"], strict=False)


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """Which model a component uses, and how.

    Attributes:
        model: A folder, a name on the hub, or "default".
        device: Where to compute; all of JAX's devices if None.
        token: The hub's, for private models.
        batch_size: Most texts in one call of the device; None lets the number of tokens decide.
        progress_bar: A bar over the texts.
        normalize_embeddings: Unit length also for models without a normalising module.
        truncate_dim: Dimensions that are kept.
        model_kwargs: Further options of `instructor_jax.INSTRUCTOR`, such as dtype, revision, max_length.
    """

    model: str
    device: "ComponentDevice | str | None"
    token: "Secret | None"
    batch_size: int | None
    progress_bar: bool
    normalize_embeddings: bool
    truncate_dim: int | None
    model_kwargs: dict[str, Any] | None

    def embedder(self, **instructions: str | None) -> TwoSidedEmbedder:
        """Returns an embedder with one side's instruction; no model is loaded.

        Raises:
            ValueError: a wrong option.
        """
        device: Any = self.device
        if isinstance(device, ComponentDevice):
            device = device.to_torch_str()
        if self.token is not None and not isinstance(self.token, Secret):
            raise ValueError(f"token must be a haystack.utils.Secret or None, not a {type(self.token).__name__}.")
        if self.model_kwargs is not None and not isinstance(self.model_kwargs, dict):
            raise ValueError(f"model_kwargs={shown(self.model_kwargs)} must be a dictionary.")
        token = self.token.resolve_value() if self.token else None
        return TwoSidedEmbedder(
            self.model,
            **instructions,
            loading={"device": device, "token": token, **(self.model_kwargs or {})},
            encoding={
                "batch_size": self.batch_size,
                "show_progress_bar": self.progress_bar,
                "normalize_embeddings": self.normalize_embeddings,
                "truncate_dim": self.truncate_dim,
            },
        )
