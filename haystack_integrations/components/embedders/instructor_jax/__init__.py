"""Haystack's components, in the namespace that its pipelines load without being told; docs/integrations.md."""

from instructor_jax.integrations.extras import require

require("haystack", "haystack-ai", "haystack")

from haystack_integrations.components.embedders.instructor_jax.document_embedder import (  # noqa: E402
    InstructorDocumentEmbedder,
)
from haystack_integrations.components.embedders.instructor_jax.text_embedder import (  # noqa: E402
    InstructorTextEmbedder,
)

__all__ = ["InstructorDocumentEmbedder", "InstructorTextEmbedder"]
