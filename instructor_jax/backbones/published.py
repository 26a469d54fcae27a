"""The published models of all families by name, such as `instructor-large`: their shapes, without weights."""

from instructor_jax.backbones.registry import backbones
from instructor_jax.config import ModelConfig

PUBLISHED: dict[str, ModelConfig] = {
    name: config for backbone in backbones() for name, config in backbone.published.items()
}
