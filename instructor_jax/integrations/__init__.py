"""Embedding classes for LangChain, LlamaIndex, Chroma, LanceDB and Ray, a file and an extra each; docs/integrations.md.

Haystack loads components of its own namespace only, so they are in `haystack_integrations.components.embedders`.
"""
