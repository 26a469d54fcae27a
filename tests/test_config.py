"""What a model is: values that are refused, and names that moved to the families."""

import dataclasses
from pathlib import Path

import pytest

from instructor_jax import config
from instructor_jax.backbones.published import PUBLISHED
from instructor_jax.config import EncoderConfig, ModelConfig
from instructor_jax.io.json_files import read_json


def test_refused_models() -> None:
    for change in ({"projection": 0}, {"max_length": 1}):
        with pytest.raises(ValueError, match=f"ModelConfig.{next(iter(change))}="):
            ModelConfig(**change)  # pyright: ignore[reportArgumentType]
    assert ModelConfig(projection=None).embedding_dim == EncoderConfig().embed
    with pytest.raises(dataclasses.FrozenInstanceError):
        ModelConfig().normalize = False  # pyright: ignore[reportAttributeAccessIssue]


def test_names_that_moved_are_found_where_they_were() -> None:
    assert config.PUBLISHED is PUBLISHED
    encoder = PUBLISHED["t5-small"].encoder
    assert isinstance(encoder, EncoderConfig)
    assert config.encoder_config_from_t5(config.encoder_config_to_t5(encoder)) == encoder
    with pytest.raises(AttributeError, match="no attribute 'PUBLISHD'"):
        config.PUBLISHD  # noqa: B018


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff\xfe", b""])
def test_broken_json_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="config.json"):
        read_json(path)
