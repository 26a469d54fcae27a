"""An adapter whose library is not installed says which extra to install, and nothing else needs that library."""

import importlib
import sys

import pytest

HAYSTACK = "haystack_integrations.components.embedders.instructor_jax"


@pytest.mark.parametrize(
    ("adapter", "module", "told"),
    [
        ("instructor_jax.integrations.langchain", "langchain_core", "langchain-core .*instructor-jax\\[langchain\\]"),
        (
            "instructor_jax.integrations.llama_index",
            "llama_index",
            "llama-index-core .*instructor-jax\\[llama-index\\]",
        ),
        ("instructor_jax.integrations.chroma", "chromadb", "chromadb .*instructor-jax\\[chroma\\]"),
        ("instructor_jax.integrations.lancedb", "lancedb", "lancedb .*instructor-jax\\[lancedb\\]"),
        (HAYSTACK, "haystack", "haystack-ai .*instructor-jax\\[haystack\\]"),
    ],
)
def test_a_missing_library_is_told_with_its_extra(adapter, module, told, monkeypatch) -> None:
    for name in [name for name in sys.modules if name == adapter or name.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=f"^{told}"):
        importlib.import_module(adapter)
