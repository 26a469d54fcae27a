"""Which family of encoders a folder's config.json belongs to, and its encoder's configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from instructor_jax.backbones.configuration import BackboneConfig
from instructor_jax.backbones.registry import (
    PLACES,
    Backbone,
    backbone_named,
    default_backbone,
    titles,
)
from instructor_jax.io.json_files import Fields, read_json, shown_value


def read_encoder_config(content: Mapping[str, Any], where: str | Path = "config.json") -> BackboneConfig:
    """Reads the dictionary of a config.json, of an encoder alone or of a whole model.

    Args:
        content: The dictionary.
        where: What messages call it.

    Raises:
        ValueError: the model type is missing or of no family, a size is missing, a value has a wrong type or range or
            asks for what the encoder does not compute, or a key is unknown.
    """
    fields = Fields(content, where)
    model_type = fields.text("model_type")
    backbone = backbone_named(model_type)
    if backbone is None:
        raise ValueError(
            f"model_type={shown_value(model_type)} in {where} is not of a known family ({titles()}: "
            f"{', '.join(PLACES)})."
        )
    return backbone.read_config(fields)


def backbone_in(folder: Path) -> Backbone:
    """Returns the family that a folder's config.json names; the default one where it names none.

    Raises:
        ValueError: the file is broken.
        OSError: it cannot be read.
    """
    file = folder / "config.json"
    model_type = read_json(file).get("model_type") if file.is_file() else None
    found = backbone_named(model_type) if isinstance(model_type, str) else None
    return found or default_backbone()
