"""What `mteb.evaluate` asks of a model, so that it takes an `Instructor` as it is.

MTEB passes a loader of batches and the task's metadata to `encode`. As for a model of sentence-transformers, the
instruction is the model's prompt for that task, kind of task or side, where it has one. The instructions and the
protocol of the INSTRUCTOR paper are `instructor-jax evaluate`'s.
"""

import sys
from typing import Any

MTEB_OPTIONS = ("task_metadata", "hf_split", "hf_subset", "prompt_type")


def mteb_model_meta(model: Any) -> Any:
    """MTEB's record of the model, named after its folder.

    Raises:
        AttributeError: MTEB is not imported; only MTEB asks.
    """
    if "mteb" not in sys.modules:
        raise AttributeError("mteb_model_meta exists once mteb is imported")
    from mteb.models.model_meta import ModelMeta, ScoringFunction

    name = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in model.folder.whole.name)
    measure = model.similarity_fn_name
    fields = {
        "name": f"instructor-jax/{name or 'model'}",
        "revision": "no_revision_available",
        "max_tokens": model.max_seq_length,
        "embed_dim": model.get_embedding_dimension(),
        "framework": ["JAX"],
        "similarity_fn_name": ScoringFunction(measure),
    }
    return ModelMeta.create_empty(overwrites=fields)


def encode_for_mteb(model: Any, inputs: Any, task_metadata: Any, prompt_type: Any = None, **options: Any) -> Any:
    """The vectors of all texts of a loader of batches {"text": [...]}, as MTEB's own wrapper has them."""
    from mteb.models.abs_encoder import get_prompt_name

    name = get_prompt_name(model.prompts, task_metadata, prompt_type) if model.prompts else None
    side = getattr(prompt_type, "value", prompt_type)
    encode = {"query": model.encode_query, "document": model.encode_document}.get(side, model.encode)
    for key in ("hf_split", "hf_subset", "num_workers"):
        options.pop(key, None)
    texts = [text for batch in inputs for text in batch["text"]]
    return encode(texts, prompt=model.prompts.get(name) if name else None, **options)
