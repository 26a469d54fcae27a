"""The card of a trained model: its `README.md`, in the form that model hubs show, made from what the run knows.

It says what was trained on and under which licences, with which settings, what was measured, and how the model is used.
What a program cannot know (under which licence the weights are given away, what they are good for) is left to a person.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from instructor_jax.backbones.registry import backbone_of
from instructor_jax.config import parameter_count
from instructor_jax.io.default_model import DEFAULT_MODEL
from instructor_jax.io.printable import printable
from instructor_jax.markdown import escaped, folded, table
from instructor_jax.version import __version__

from ..data.token_cache import Mixture
from ..own_loss import loss_name
from ..settings.flat import flat
from ..settings.run_config import RunConfig
from .card_training_data import training_data
from .metrics_file import NUMBERS
from .prepared import Prepared

# places on the machine of the training, which mean nothing elsewhere
_PLACES = ("data", "output", "tokenizer", "evaluation.data", "mixture.avoid")


def model_card(prepared: Prepared, store: Mixture, lines: Sequence[dict[str, Any]], size: int) -> str:
    """Returns the card in Markdown.

    Args:
        prepared: the run.
        store: its mixture.
        lines: lines of its metrics.jsonl.
        size: bytes of the model's folder.
    """
    name = Path(prepared.run.output).absolute().name
    parts = [
        front_matter(prepared.run.init_from, backbone_of(prepared.config.model.encoder).title.lower()),
        f"# {escaped(name)}\n\n{_what(prepared, size)}",
        f"## Use\n\n{_use(prepared, store, name)}",
        f"## Training data\n\n{training_data(prepared, store)}",
        f"## Training\n\n{_training(prepared, lines)}",
        f"## Measured\n\n{_measured(lines)}",
        f"## Limits\n\n{_limits(prepared)}",
    ]
    return "\n\n".join(parts) + "\n"


def read_length(prepared: Prepared) -> int:
    """Returns the most tokens of a text that the trained model is to read, instruction included."""
    return prepared.run.export_length or prepared.config.model.max_length


def front_matter(base_model: str, family: str) -> str:
    """Returns the card's head, which model hubs read, as YAML between two lines of dashes.

    Args:
        base_model: what training started from; told where it is a name on the hub.
        family: family of the encoder, a tag.
    """
    from huggingface_hub import ModelCardData

    of_hub = ["sentence-transformers", "feature-extraction", "sentence-similarity"]
    data = ModelCardData(
        library_name="sentence-transformers",
        pipeline_tag="sentence-similarity",
        license="unknown",
        base_model=base_model if _is_on_hub(base_model) else None,
        tags=[*of_hub, family, "instruction", "instructor-jax"],
    )
    return f"---\n{data.to_yaml()}\n---"


def _is_on_hub(model: str) -> bool:
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    if not model or model == DEFAULT_MODEL or Path(model).exists():
        return False
    try:
        validate_repo_id(model)
    except HFValidationError:
        return False
    return True


def _what(prepared: Prepared, size: int) -> str:
    model, encoder = prepared.config.model, prepared.config.model.encoder
    family = backbone_of(encoder).title
    return (
        f"Text embeddings steered by an instruction: vectors of {model.embedding_dim} dimensions, for texts of up to "
        f"{read_length(prepared)} tokens with their instruction{_trained_on(prepared)}. A {family} encoder of "
        f"{encoder.layers} layers, width {encoder.embed}, {encoder.vocab:,} pieces: {parameter_count(model):,} "
        f"weights, stored as {prepared.run.export} in a folder of {size / 1e6:.1f} MB. "
        f"Trained with instructor-jax {__version__}."
    )


def _trained_on(prepared: Prepared) -> str:
    length = prepared.config.model.max_length
    return "" if length == read_length(prepared) else f" (trained on up to {length})"


def _use(prepared: Prepared, store: Mixture, name: str) -> str:
    task = prepared.batches.plan.tasks[0].name
    query = store.entry(task)["instructions"][0][0] if prepared.run.mixture.instructions else ""
    under = (
        f"under its instruction, here that of a task it was trained on ({escaped(task)})"
        if query
        else "without instruction"
    )
    instruction, prompt = (f", {key}={query!r}" if query else "" for key in ("instruction", "prompt"))
    quoted = printable(json.dumps(name, ensure_ascii=False))
    return f"""Every text is read {under}:

```python
from instructor_jax import Instructor

model = Instructor.from_pretrained({quoted})
vectors = model.encode(["a text", "another text"]{instruction})
```

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer({quoted})
vectors = model.encode(["a text", "another text"]{prompt})
```

Vectors have unit length, so their products are cosines. The mean that makes them is over the text, not over its
instruction."""


def _training(prepared: Prepared, lines: Sequence[dict[str, Any]]) -> str:
    run, config = prepared.run, prepared.config
    steps = [line for line in lines if all(line.get(name) is not None for name in NUMBERS)]
    facts = [
        f"start: {escaped(_name(run.init_from)) if run.init_from else 'random weights'}",
        f"{config.steps:,} steps of {config.groups} x {config.group.rows} x {config.group.length} tokens",
    ]
    if prepared.loss is not None:
        facts.append(
            f"loss: `{loss_name(prepared.loss)}`, the caller's own; what the settings say of `loss` was not used"
        )
    if steps:
        tokens = sum(line["tokens_per_second"] * line["seconds"] for line in steps)
        facts.append(f"{tokens / 1e6:,.1f} M tokens in {sum(line['seconds'] for line in steps) / 3600:.1f} hours")
    if run.distill.on:
        facts.append(
            f"teacher {escaped(_name(run.distill.teacher))}: the whole loss in {run.distill.distill_only:.0%} of the "
            f"steps, with a share of {run.distill.weight:g} at the end"
        )
    if run.distill.static_init:
        facts.append(f"first vectors of the pieces: those of {escaped(_name(run.distill.teacher))}")
    toml = "\n".join(f"{key} = {_toml(value)}" for key, value in told_settings(run).items())
    return "\n".join(f"- {fact}" for fact in facts) + "\n\n" + folded("All settings", f"```toml\n{toml}\n```")


def told_settings(run: RunConfig) -> dict[str, Any]:
    """Returns the settings that a card tells: no places of the machine, and no shape where a model brings its own."""
    settings = {key: value for key, value in flat(run).items() if key not in _PLACES}
    for key in ("init_from", "distill.teacher"):
        settings[key] = _name(settings[key])
    return {key: value for key, value in settings.items() if not (run.init_from and key.startswith("model."))}


def _measured(lines: Sequence[dict[str, Any]]) -> str:
    held = [line["held_out"] for line in lines if "held_out" in line]
    scores = [line for line in lines if "evaluation" in line]
    parts = []
    if held:
        parts.append(
            "On rows of the training tasks that were kept from training: in-batch accuracy "
            f"{held[-1]['accuracy']:.3f} (before training {held[0]['accuracy']:.3f}), mean over tasks."
        )
    if scores:
        rows = [[name, f"{score:.2f}"] for name, score in scores[-1]["evaluation"].items()]
        parts.append(f"On evaluation tasks, main scores in percent at step {scores[-1]['step']:,}:")
        parts.append(table(["task", "score"], rows))
    return "\n\n".join(parts) or "Nothing was measured."


def _limits(prepared: Prepared) -> str:
    return (
        f"- Texts are cut at {read_length(prepared)} tokens, instruction included.\n"
        "- Languages, domains and instructions that the training data do not have are read, but nothing was learned of "
        "them.\n"
        "- Cosines rank texts; their level depends on the instructions and means nothing by itself.\n"
        "- What the training data get wrong or unfair, the vectors may repeat."
    )


def _name(model: str) -> str:
    """Returns a model's name; of a folder its last part."""
    return Path(model).absolute().name if model and Path(model).exists() else model


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return '"none"' if value is None else json.dumps(value)
